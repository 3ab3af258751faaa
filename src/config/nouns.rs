//! Readers of the values that mean something to a proxy: addresses, names, globs, pointers.

use super::value::{Read, Value, duration, number, refuse, text, word};
use super::{Glob, Interval, Mode};
use http::{HeaderName, Uri};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// Where to listen: an IP address and a port. `localhost` is 127.0.0.1.
pub(super) fn listen(value: &Value<'_>) -> Read<SocketAddr> {
    let written = text(value, "127.0.0.1:8080")?;
    let address = match written.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}").parse(),
        None => written.parse(),
    };
    address.or_else(|_| {
        let advice = "write an IP address and a port, as in \"127.0.0.1:8080\" or \"[::1]:8080\"";
        refuse(value, format!("\"{written}\" is no address to listen on: {advice}"))
    })
}

/// An address to listen on, or `off`.
pub(super) fn listen_or_off(value: &Value<'_>) -> Read<Option<SocketAddr>> {
    if text(value, "127.0.0.1:9090")? == "off" { Ok(None) } else { listen(value).map(Some) }
}

/// The origin: a scheme, a host, perhaps a port, nothing else; or a Unix socket. Never repeats a
/// text that may hold a password.
pub(super) fn origin(value: &Value<'_>) -> Read<(Uri, Option<PathBuf>)> {
    let written = text(value, "http://127.0.0.1:3000")?;
    let advice = "write \"http://host:port\", \"https://host\" or \"unix:/path/of/the.socket\"";
    if let Some(path) = written.strip_prefix("unix:") {
        if !path.starts_with('/') || path.starts_with("//") {
            return refuse(value, format!("is no path of a socket: {advice}"));
        }
        return Ok((Uri::from_static("http://localhost"), Some(PathBuf::from(path))));
    }
    let Ok(uri) = written.parse::<Uri>() else {
        return refuse(value, format!("is no URL: {advice}"));
    };
    let Some(authority) = uri.authority().filter(|_| uri.scheme().is_some()) else {
        return refuse(value, format!("has no scheme: {advice}"));
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return refuse(value, format!("has an unknown scheme: {advice}"));
    }
    if authority.as_str().contains('@') {
        let advice = "take them out; Pollcast forwards each client's own credentials";
        return refuse(value, format!("must not carry a user name or password: {advice}"));
    }
    if authority.host().is_empty() || authority.port_u16() == Some(0) {
        return refuse(value, format!("names no host or port 0: {advice}"));
    }
    if authority.port().is_none() && authority.as_str() != authority.host() {
        return refuse(value, format!("has a port that is no port: {advice}"));
    }
    if uri.path() != "/" || uri.query().is_some() || written.contains('#') {
        let advice = "take it out; requests keep the path they come with";
        return refuse(value, format!("must not have a path, query or fragment: {advice}"));
    }
    Ok((uri, None))
}

/// A number of threads, or `auto`.
pub(super) fn workers(value: &Value<'_>) -> Read<Option<usize>> {
    if value.get_ref().as_str() == Some("auto") {
        return Ok(None);
    }
    number(value, 1..=1024).map(Some).map_err(|mut problems| {
        for problem in &mut problems {
            problem.text.push_str(", or \"auto\"");
        }
        problems
    })
}

/// The path of a file, or the word that means none.
pub(super) fn path_or(value: &Value<'_>, none: &str) -> Read<Option<PathBuf>> {
    match text(value, "/etc/pollcast/file.pem")? {
        "" => refuse(value, format!("\"\" is no path: write one, or \"{none}\"")),
        word if word == none => Ok(None),
        path => Ok(Some(PathBuf::from(path))),
    }
}

/// An address or a network in CIDR notation.
pub(super) fn network(value: &Value<'_>) -> Read<IpNet> {
    let written = text(value, "10.0.0.0/8")?;
    let network = written.parse::<IpNet>().map(|network| network.trunc());
    network.or_else(|_| written.parse::<IpAddr>().map(IpNet::from)).or_else(|_| {
        let advice = "write \"10.0.0.7\" or \"10.0.0.0/8\"";
        refuse(value, format!("\"{written}\" is no address and no network: {advice}"))
    })
}

/// The path prefix of the own endpoints.
pub(super) fn prefix(value: &Value<'_>) -> Read<String> {
    let written = text(value, "/__pollcast")?;
    let segments = written.strip_prefix('/').unwrap_or("").split('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~');
    let mut good = written.len() <= 64;
    for segment in segments {
        good &= !matches!(segment, "" | "." | "..") && segment.chars().all(plain);
    }
    if good {
        return Ok(written.to_owned());
    }
    let advice = "write a path that begins with / and doesn't end with one, as in \"/__pollcast\"";
    refuse(value, format!("\"{written}\" is no prefix: {advice}"))
}

/// How far to go.
pub(super) fn mode(value: &Value<'_>) -> Read<Mode> {
    let modes = [
        ("off", Mode::Off),
        ("observe", Mode::Observe),
        ("collapse", Mode::Collapse),
        ("push", Mode::Push),
    ];
    word(value, &modes)
}

/// A request field that tells users apart.
pub(super) fn identity_header(value: &Value<'_>) -> Read<HeaderName> {
    let written = text(value, "authorization")?;
    match HeaderName::try_from(written) {
        Ok(http::header::COOKIE) => {
            refuse(value, "\"cookie\" is no name for this list: name cookies in identity.cookies")
        }
        Ok(name) => Ok(name),
        Err(_) => {
            let advice = "write a name such as \"authorization\"";
            refuse(value, format!("\"{written}\" is no field name: {advice}"))
        }
    }
}

/// A cookie's name, or `*`.
pub(super) fn cookie(value: &Value<'_>) -> Read<String> {
    let written = text(value, "session")?;
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '=' | ';' | ',');
    if written.is_empty() || written.contains(bad) || (written != "*" && written.contains('*')) {
        let advice = "write a whole name, or \"*\" for all";
        return refuse(value, format!("\"{written}\" is no cookie name: {advice}"));
    }
    Ok(written.to_owned())
}

/// The name of a query parameter.
pub(super) fn parameter(value: &Value<'_>) -> Read<String> {
    let written = text(value, "_")?;
    if written.is_empty() || written.contains(['=', '&', '?', '#', ' ']) {
        let advice = "write the name alone, as in \"_\"";
        return refuse(value, format!("\"{written}\" is no query parameter: {advice}"));
    }
    Ok(written.to_owned())
}

/// A request field that never changes what the origin answers; a trailing `*` matches a prefix.
pub(super) fn irrelevant(value: &Value<'_>) -> Read<String> {
    let written = text(value, "x-request-id")?;
    let stem = written.strip_suffix('*').unwrap_or(written);
    if HeaderName::try_from(stem).is_err() || stem.contains('*') {
        let advice = "write a name such as \"x-request-id\", or a beginning such as \"x-b3-*\"";
        return refuse(value, format!("\"{written}\" is no field name: {advice}"));
    }
    Ok(written.to_ascii_lowercase())
}

/// A tracing filter.
pub(super) fn filter(value: &Value<'_>) -> Read<String> {
    let written = text(value, "info")?;
    if crate::telemetry::is_filter(written) {
        return Ok(written.to_owned());
    }
    let advice =
        "write \"error\", \"warn\", \"info\", \"debug\" or \"trace\", or \"pollcast=debug\"";
    refuse(value, format!("\"{written}\" is no level: {advice}"))
}

/// The short name of a watch: it becomes a metric's label.
pub(super) fn watch_name(value: &Value<'_>) -> Read<String> {
    let written = text(value, "todos")?;
    let bad = |c: char| c.is_control() || c.is_whitespace() || c == '"';
    if written.is_empty() || written.len() > 64 || written.contains(bad) {
        let advice = "write 1 to 64 characters without spaces or quotes";
        return refuse(value, format!("\"{written}\" is no name: {advice}"));
    }
    Ok(written.to_owned())
}

/// A path glob.
pub(super) fn glob(value: &Value<'_>) -> Read<Glob> {
    Glob::new(text(value, "/api/**")?).or_else(|error| refuse(value, error.to_string()))
}

/// `auto` or a time.
pub(super) fn interval(value: &Value<'_>, range: RangeInclusive<Duration>) -> Read<Interval> {
    if value.get_ref().as_str() == Some("auto") {
        return Ok(Interval::Auto);
    }
    duration(value, range).map(Interval::Every).map_err(|mut problems| {
        for problem in &mut problems {
            problem.text.push_str(", or \"auto\"");
        }
        problems
    })
}

/// What says "poll now": a glob over the paths of writes.
pub(super) fn hint(value: &Value<'_>) -> Read<Glob> {
    let written = text(value, "write:/api/todos/**")?;
    let Some(path) = written.strip_prefix("write:") else {
        let advice = "this version knows \"write:<glob>\", as in \"write:/api/todos/**\"";
        return refuse(value, format!("\"{written}\" names no source of hints: {advice}"));
    };
    Glob::new(path).or_else(|error| refuse(value, error.to_string()))
}

/// A JSON pointer (RFC 6901) as unescaped reference tokens.
pub(super) fn pointer(value: &Value<'_>) -> Read<Vec<String>> {
    let written = text(value, "/generatedAt")?;
    let advice = "write \"/generatedAt\" or \"/items/*/age\"; ~ is written ~0, and / in a name ~1";
    let Some(rest) = written.strip_prefix('/') else {
        return refuse(value, format!("\"{written}\" is no JSON pointer: {advice}"));
    };
    let tokens: Option<Vec<_>> = rest.split('/').map(unescape).collect();
    tokens.map_or_else(|| refuse(value, format!("\"{written}\" is no JSON pointer: {advice}")), Ok)
}

/// RFC 6901 §4: first `~1`, then `~0`, or `~01` would become `/`.
fn unescape(token: &str) -> Option<String> {
    let valid = token.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    valid.then(|| token.replace("~1", "/").replace("~0", "~"))
}

/// The origin of a page, as browsers write it in `Origin`.
pub(super) fn page(value: &Value<'_>) -> Read<String> {
    let written = text(value, "https://app.example")?;
    let origin = url::Url::parse(written).map(|url| url.origin().ascii_serialization());
    match origin {
        Ok(origin) if origin == written && written.starts_with("http") => Ok(origin),
        Ok(origin) if origin.starts_with("http") => {
            refuse(value, format!("\"{written}\" is no origin: write \"{origin}\""))
        }
        _ => {
            let advice = "write scheme and host, as in \"https://app.example\"";
            refuse(value, format!("\"{written}\" is no origin: {advice}"))
        }
    }
}
