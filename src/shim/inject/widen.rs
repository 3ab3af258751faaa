//! `csp = "extend"`: gives a page's policies what the script and its stream need, and no more.
//!
//! The rule: nothing that was forbidden before becomes allowed but the own paths on this very
//! host. So a source goes into the narrowest directive that governs (`script-src-elem`,
//! `connect-src`); where that isn't there yet, it is made of what governs in its stead (CSP3
//! §6.8.3, "get the fetch directive fallback list"), lest workers or `eval` gain by it. No nonce or
//! hash is added: either would switch `'unsafe-inline'` off. A path also needs no secret, so that a
//! page that a 304 confirms keeps working with the policy of that 304.

use super::policy::{Policy, Site};
use http::{HeaderMap, HeaderValue, header};

/// The policies of all lines, extended where they need it. `None` if no policy needs it, or one
/// can't be helped.
pub(super) fn widened(headers: &HeaderMap, site: &Site<'_>) -> Option<Vec<HeaderValue>> {
    let mut changed = false;
    let mut lines = Vec::new();
    for line in headers.get_all(header::CONTENT_SECURITY_POLICY) {
        let mut policies = Vec::new();
        for text in line.to_str().ok()?.split(',') {
            let wider = wider(text, site).ok()?;
            changed |= wider.is_some();
            policies.push(wider.unwrap_or_else(|| text.to_owned()));
        }
        lines.push(HeaderValue::try_from(policies.join(",")).ok()?);
    }
    changed.then_some(lines)
}

/// A policy that can't be helped.
struct Hopeless;

/// One policy with what it needs; `None` if it needs nothing.
fn wider(text: &str, site: &Site<'_>) -> Result<Option<String>, Hopeless> {
    let policy = Policy::new(text);
    if policy.sandboxes() {
        return Err(Hopeless);
    }
    let (script, connect) = (!policy.lets_script(site), !policy.lets_connect(site));
    if !script && !connect {
        return Ok(None);
    }
    // With 'strict-dynamic' a path means nothing (CSP3 §6.7.1.1).
    if script && policy.strict() {
        return Err(Hopeless);
    }
    let host = site.authority.filter(|host| is_host_source(host)).ok_or(Hopeless)?;
    let mut text = text.to_owned();
    if script {
        // The script, and the code that holds the stream: not all own paths, since a plain view of
        // somebody's text could be read as a script.
        let source = format!("{host}{} {host}{}worker.js", site.script, site.own);
        text = add(&text, &["script-src-elem", "script-src", "default-src"], &source);
    }
    if connect {
        text = add(&text, &["connect-src", "default-src"], &format!("{host}{}", site.own));
    }
    Ok(Some(text))
}

/// Adds a source to the first of these directives: it is made of the first that is there.
fn add(text: &str, names: &[&str], source: &str) -> String {
    let policy = Policy::new(text);
    let Some(at) = names.iter().position(|name| policy.directive(name).is_some()) else {
        return text.to_owned();
    };
    if at > 0 {
        let sources = sources(policy.directive(names[at]).unwrap_or(""), names[0]);
        let end = text.trim_end().trim_end_matches([';', ' ']);
        return format!("{end}; {}{sources} {source}", names[0]);
    }
    let mut found = false;
    let parts: Vec<String> = text
        .split(';')
        .map(|part| {
            let name = part.split_ascii_whitespace().next().unwrap_or("");
            if found || !name.eq_ignore_ascii_case(names[0]) {
                return part.to_owned();
            }
            // Only the first of a name counts.
            found = true;
            let before = &part[..part.len() - part.trim_ascii_start().len()];
            let values = part.trim_ascii_start().get(name.len()..).unwrap_or("");
            format!("{before}{name}{} {source}", sources(values, names[0]))
        })
        .collect();
    parts.join(";")
}

/// The values of a directive, each with a space before it, as `directive` would have them.
fn sources(values: &str, directive: &str) -> String {
    let connect = directive == "connect-src";
    let kept = values.split_ascii_whitespace().filter(|value| {
        // CSP3 §6.7.2.7: 'none' counts only where it stands alone. What else is in quotes is about
        // scripts: browsers would complain of it.
        !value.eq_ignore_ascii_case("'none'")
            && (!connect || !value.starts_with('\'') || value.eq_ignore_ascii_case("'self'"))
    });
    kept.fold(String::new(), |all, value| all + " " + value)
}

/// True for what the grammar of a host-source takes (CSP3 §2.3.1), so that nothing that a client
/// writes into `Host` can end a directive or a policy. IPv6 addresses it doesn't take.
fn is_host_source(authority: &str) -> bool {
    let (host, port) = authority.split_once(':').unwrap_or((authority, "0"));
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !host.is_empty()
        && host.bytes().all(letter)
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    const SITE: Site<'_> = Site {
        authority: Some("app.example:8080"),
        script: "/__pollcast/shim.js",
        own: "/__pollcast/",
    };

    fn of(policies: &[&'static str]) -> Option<Vec<String>> {
        let mut headers = HeaderMap::new();
        for policy in policies {
            headers.append(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        }
        let lines = widened(&headers, &SITE)?;
        Some(lines.iter().map(|line| line.to_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn exactly_what_is_needed_is_added() {
        let script = "app.example:8080/__pollcast/shim.js app.example:8080/__pollcast/worker.js";
        let own = "app.example:8080/__pollcast/";
        for (policy, want) in [
            ("script-src 'none'", format!("script-src 'none'; script-src-elem {script}")),
            (
                "script-src 'unsafe-inline' 'unsafe-eval' cdn.example ; img-src x;",
                format!(
                    "script-src 'unsafe-inline' 'unsafe-eval' cdn.example ; img-src x; \
                     script-src-elem 'unsafe-inline' 'unsafe-eval' cdn.example {script}"
                ),
            ),
            (
                " Script-Src-Elem  'sha256-AbC='; script-src 'self'; script-src-elem x",
                format!(
                    " Script-Src-Elem 'sha256-AbC=' {script}; script-src 'self'; script-src-elem x"
                ),
            ),
            (
                "default-src 'none'",
                format!("default-src 'none'; script-src-elem {script}; connect-src {own}"),
            ),
            (
                "default-src 'unsafe-inline' cdn.example 'nonce-x'",
                format!(
                    "default-src 'unsafe-inline' cdn.example 'nonce-x'; connect-src cdn.example \
                     {own}"
                ),
            ),
            (
                "script-src 'nonce-x'; connect-src api.example;",
                format!("script-src 'nonce-x'; connect-src api.example {own};"),
            ),
            ("connect-src", format!("connect-src {own}")),
        ] {
            assert_eq!(of(&[policy]), Some(vec![want]), "{policy}");
        }
    }

    #[test]
    fn what_needs_nothing_or_cannot_be_helped_stays() {
        for policy in [
            "",
            "default-src 'self'",
            "script-src 'nonce-x' 'strict-dynamic'",
            "script-src 'sha256-x' 'strict-dynamic'",
            "sandbox; script-src 'none'",
        ] {
            assert_eq!(of(&[policy]), None, "{policy}");
        }
        assert_eq!(of(&["script-src 'none'", "sandbox"]), None);
    }

    #[test]
    fn each_policy_is_extended_by_itself() {
        let script = "app.example:8080/__pollcast/shim.js app.example:8080/__pollcast/worker.js";
        let want = format!("img-src x, script-src-elem a {script}");
        let got = of(&["script-src-elem 'self'", "img-src x, script-src-elem a"]);
        assert_eq!(got, Some(vec!["script-src-elem 'self'".to_owned(), want]));
    }

    #[test]
    fn a_host_that_is_no_source_adds_nothing() {
        for host in ["[::1]:80", "a;b", "a,b", "a b", "'self'", "*", "", ":80", "a:", "a:b"] {
            let mut headers = HeaderMap::new();
            let policy = HeaderValue::from_static("script-src 'none'");
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
            let site = Site { authority: Some(host), ..SITE };
            assert_eq!(widened(&headers, &site), None, "{host}");
        }
    }
}
