//! Would the tag run under the page's Content-Security-Policy (CSP Level 3), and could the shim
//! open its stream?
//!
//! Where the answer is no, the page is left byte-identical: a blocked tag would only put an error
//! in every user's console. Policies in `<meta>` come after the tag and don't block it; the shim
//! copes with them.

use http::{HeaderMap, header};

/// What the page's policies say about the tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It runs as it is.
    Runs,
    /// It runs with this nonce. Only characters of the grammar's `base64-value`: nothing to escape
    /// in an attribute.
    Nonce(String),
    /// It doesn't run, or couldn't do its work; a short reason.
    Blocked(&'static str),
}

/// The page's own address, as policies name it.
pub(super) struct Site<'a> {
    /// Host and port, as in `Host`; `None` if the request had none.
    pub(super) authority: Option<&'a str>,
    /// Path of the script.
    pub(super) script: &'a str,
    /// Path below which the script asks; ends with `/`.
    pub(super) own: &'a str,
}

/// Asks all policies of a response: each one of them must agree (CSP3 §4.1).
pub(super) fn ask(headers: &HeaderMap, site: &Site<'_>) -> Ruling {
    let mut offered: Option<Vec<&str>> = None;
    let mut spare = None;
    for value in headers.get_all(header::CONTENT_SECURITY_POLICY) {
        let Ok(text) = value.to_str() else { return Ruling::Blocked("unreadable") };
        // RFC 9110 §5.3: one field line may carry several policies, separated by commas.
        for policy in text.split(',').map(Policy::new) {
            match policy.ask(site) {
                Err(reason) => return Ruling::Blocked(reason),
                Ok(Leave::Free) => spare = spare.or(policy.nonces().next()),
                Ok(Leave::Nonce) => match &mut offered {
                    None => offered = Some(policy.nonces().collect()),
                    Some(common) => common.retain(|nonce| policy.nonces().any(|n| n == *nonce)),
                },
            }
        }
    }
    match (offered, spare) {
        (Some(common), _) => match common.first() {
            Some(nonce) => Ruling::Nonce((*nonce).to_owned()),
            None => Ruling::Blocked("script-src"),
        },
        (None, spare) => match spare.or_else(|| reported_nonce(headers)) {
            Some(nonce) => Ruling::Nonce(nonce.to_owned()),
            None => Ruling::Runs,
        },
    }
}

/// False if a policy forbids the worker that holds the stream: then the page holds its own, and
/// needn't try, since each try would be a line on the console (or, for a policy that is only tried
/// out, a report).
pub(super) fn lets_worker(headers: &HeaderMap, site: &Site<'_>) -> bool {
    let names = [header::CONTENT_SECURITY_POLICY, header::CONTENT_SECURITY_POLICY_REPORT_ONLY];
    let values = names.iter().flat_map(|name| headers.get_all(name));
    let mut texts = values.filter_map(|value| value.to_str().ok());
    texts.all(|text| text.split(',').all(|policy| Policy::new(policy).lets_worker(site)))
}

/// A nonce of a policy that is only tried out: without it the tag would fill its reports.
fn reported_nonce(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::CONTENT_SECURITY_POLICY_REPORT_ONLY).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).find_map(|policy| Policy::new(policy).nonces().next())
}

/// On what condition one policy lets the tag run.
enum Leave {
    /// None.
    Free,
    /// With one of its nonces.
    Nonce,
}

/// One serialized policy.
pub(super) struct Policy<'a> {
    /// Names in order, each with its values.
    directives: Vec<(&'a str, &'a str)>,
}

impl<'a> Policy<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let directives = text
            .split(';')
            .map(str::trim)
            .filter(|directive| !directive.is_empty())
            .map(|directive| {
                directive.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((directive, ""))
            })
            .collect();
        Self { directives }
    }

    /// CSP3 §2.2.1: a name that stands there already is ignored, so the first one counts.
    pub(super) fn directive(&self, name: &str) -> Option<&'a str> {
        self.directives
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, values)| *values)
    }

    fn first_of(&self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| self.directive(name))
    }

    fn scripts(&self) -> Option<&'a str> {
        self.first_of(&["script-src-elem", "script-src", "default-src"])
    }

    fn nonces(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.scripts().unwrap_or("").split_ascii_whitespace().filter_map(|source| {
            let quoted = source.strip_prefix('\'')?.strip_suffix('\'')?;
            let (kind, nonce) = quoted.split_at_checked(6)?;
            let valid = !nonce.is_empty() && nonce.bytes().all(is_nonce_byte);
            (kind.eq_ignore_ascii_case("nonce-") && valid).then_some(nonce)
        })
    }

    /// The page is cut off from its own site, or runs nothing.
    pub(super) fn sandboxes(&self) -> bool {
        self.directive("sandbox").is_some_and(|flags| {
            let has = |flag| flags.split_ascii_whitespace().any(|f| f.eq_ignore_ascii_case(flag));
            !has("allow-scripts") || !has("allow-same-origin")
        })
    }

    /// CSP3 §6.7.1.1: no list of hosts helps a script that the parser inserted.
    pub(super) fn strict(&self) -> bool {
        self.scripts().is_some_and(|sources| has_keyword(sources, "'strict-dynamic'"))
    }

    /// The script may ask the own paths.
    pub(super) fn lets_connect(&self, site: &Site<'_>) -> bool {
        let governing = self.first_of(&["connect-src", "default-src"]);
        governing.is_none_or(|sources| allows(sources, site, &format!("{}stream", site.own)))
    }

    /// The script may start its worker (CSP3 §6.1.13: `worker-src`, and what stands in for it).
    fn lets_worker(&self, site: &Site<'_>) -> bool {
        let path = format!("{}worker.js", site.own);
        if let Some(sources) = self.first_of(&["worker-src", "child-src"]) {
            return allows(sources, site, &path);
        }
        // With 'strict-dynamic' whatever a script starts may run, if it is no parser that asks.
        let governing = self.first_of(&["script-src", "default-src"]);
        governing.is_none_or(|sources| {
            has_keyword(sources, "'strict-dynamic'") || allows(sources, site, &path)
        })
    }

    /// The tag runs, perhaps with a nonce.
    pub(super) fn lets_script(&self, site: &Site<'_>) -> bool {
        self.is_free(site) || self.nonces().next().is_some()
    }

    fn is_free(&self, site: &Site<'_>) -> bool {
        let Some(sources) = self.scripts() else { return true };
        !self.strict() && allows(sources, site, site.script)
    }

    fn ask(&self, site: &Site<'_>) -> Result<Leave, &'static str> {
        if self.sandboxes() {
            return Err("sandbox");
        }
        // Browsers that know the directive want a digest, which the tag hasn't.
        if self.directive("require-sri-for").is_some_and(|what| has_keyword(what, "script")) {
            return Err("require-sri-for");
        }
        if !self.lets_connect(site) {
            return Err("connect-src");
        }
        match (self.is_free(site), self.lets_script(site)) {
            (true, _) => Ok(Leave::Free),
            (false, true) => Ok(Leave::Nonce),
            (false, false) => Err("script-src"),
        }
    }
}

fn has_keyword(values: &str, keyword: &str) -> bool {
    values.split_ascii_whitespace().any(|value| value.eq_ignore_ascii_case(keyword))
}

/// `nonce-source` of CSP3 §2.3.1: `base64-value = 1*( ALPHA / DIGIT / "+" / "/" / "-" / "_" )*2(
/// "=" )`.
fn is_nonce_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
}

/// True if one of the sources matches `path` on this very site (CSP3 §6.7.2).
fn allows(sources: &str, site: &Site<'_>, path: &str) -> bool {
    sources.split_ascii_whitespace().any(|source| {
        let source = source.to_ascii_lowercase();
        match source.as_str() {
            // A page that names only `https:` is served over https, whatever our own connection is:
            // its own scripts need it.
            "'self'" | "*" | "http:" | "https:" => true,
            host if host.starts_with('\'') || host.ends_with(':') => false,
            host => site.authority.is_some_and(|ours| host_matches(host, ours, path)),
        }
    })
}

/// `host-source`: `[scheme://]host[:port][/path]`, in lower case.
fn host_matches(source: &str, authority: &str, path: &str) -> bool {
    let rest = match source.split_once("://") {
        Some(("http" | "https", rest)) => rest,
        Some(_) => return false,
        None => source,
    };
    let (host_port, wanted) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let ours = authority.to_ascii_lowercase();
    let (our_host, our_port) = split_port(&ours);
    let (host, port) = split_port(host_port);
    let host_ok = match host.strip_prefix('*') {
        Some("") => true,
        Some(parent) => our_host.ends_with(parent) && our_host.len() > parent.len(),
        None => host == our_host,
    };
    // Which port is the default depends on a scheme that a proxy in front of us may have taken off.
    let is_default = |port| matches!(port, None | Some("80" | "443"));
    let port_ok = port == Some("*") || port == our_port || is_default(port) && is_default(our_port);
    let path_ok = match wanted {
        "" | "/" => true,
        folder if folder.ends_with('/') => path.to_ascii_lowercase().starts_with(folder),
        file => path.eq_ignore_ascii_case(file),
    };
    host_ok && port_ok && path_ok
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn asked(policies: &[&'static str]) -> Ruling {
        let mut headers = HeaderMap::new();
        for policy in policies {
            headers.append(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        }
        ask(
            &headers,
            &Site {
                authority: Some("app.example:8080"),
                script: "/__pollcast/shim.js",
                own: "/__pollcast/",
            },
        )
    }

    #[test]
    fn rulings() {
        let nonce = |text: &str| Ruling::Nonce(text.to_owned());
        let (script, connect) = (Ruling::Blocked("script-src"), Ruling::Blocked("connect-src"));
        let sandbox = Ruling::Blocked("sandbox");
        for (policy, want) in [
            ("", Ruling::Runs),
            ("img-src x", Ruling::Runs),
            ("default-src 'self'", Ruling::Runs),
            ("Default-Src 'SELF'; img-src *", Ruling::Runs),
            ("default-src *", Ruling::Runs),
            ("default-src https:", Ruling::Runs),
            ("default-src 'none'", connect.clone()),
            ("default-src", connect.clone()),
            ("script-src 'none'", script.clone()),
            ("script-src 'unsafe-inline'", script.clone()),
            ("script-src 'sha256-AbC='", script.clone()),
            ("script-src 'strict-dynamic' 'self'", script.clone()),
            ("script-src 'nonce-aB3+/='", nonce("aB3+/=")),
            ("script-src 'self' 'nonce-x'", nonce("x")),
            ("script-src 'strict-dynamic' 'nonce-x' 'unsafe-inline' https:", nonce("x")),
            ("script-src 'nonce-\"><b'", script.clone()),
            ("script-src 'nonce-'", script.clone()),
            ("script-src-elem 'none'; script-src 'self'", script.clone()),
            ("script-src-elem 'self'; script-src 'none'", Ruling::Runs),
            ("script-src 'self'; script-src 'none'", Ruling::Runs),
            ("script-src app.example:8080", Ruling::Runs),
            ("script-src http://app.example:8080/__pollcast/", Ruling::Runs),
            ("script-src app.example:8080/static/", script.clone()),
            ("script-src *.example:*", Ruling::Runs),
            ("script-src *.app.example:8080", script.clone()),
            ("script-src app.example", script.clone()),
            ("script-src cdn.example", script),
            ("script-src 'self'; connect-src api.example", connect.clone()),
            ("connect-src 'self'; default-src 'nonce-x'", nonce("x")),
            ("default-src 'nonce-x'", connect),
            ("sandbox", sandbox.clone()),
            ("sandbox allow-scripts", sandbox),
            ("sandbox allow-scripts allow-same-origin", Ruling::Runs),
            ("require-trusted-types-for 'script'", Ruling::Runs),
            ("require-trusted-types-for 'script'; trusted-types 'none'", Ruling::Runs),
            ("require-sri-for style script", Ruling::Blocked("require-sri-for")),
            ("require-sri-for style", Ruling::Runs),
            ("script-src 'strict-dynamic' 'sha256-x'", Ruling::Blocked("script-src")),
            ("upgrade-insecure-requests; report-uri /r", Ruling::Runs),
        ] {
            assert_eq!(asked(&[policy]), want, "{policy}");
        }
    }

    #[test]
    fn workers() {
        for (policy, want) in [
            ("", true),
            ("img-src x", true),
            ("script-src 'self'", true),
            ("script-src 'nonce-x'", false),
            ("script-src 'nonce-x' 'strict-dynamic'", true),
            ("script-src 'nonce-x'; worker-src 'self'", true),
            ("script-src 'self'; worker-src 'none'", false),
            ("script-src 'self'; child-src x", false),
            ("script-src-elem 'self'; default-src 'nonce-x'", false),
            ("script-src app.example:8080/__pollcast/shim.js", false),
            ("script-src app.example:8080/__pollcast/", true),
            ("worker-src blob:", false),
            ("script-src 'self', worker-src 'none'", false),
        ] {
            let own = "/__pollcast/";
            let authority = Some("app.example:8080");
            let site = Site { authority, script: "/__pollcast/shim.js", own };
            for name in
                [header::CONTENT_SECURITY_POLICY, header::CONTENT_SECURITY_POLICY_REPORT_ONLY]
            {
                let mut headers = HeaderMap::new();
                headers.insert(name, HeaderValue::from_static(policy));
                assert_eq!(lets_worker(&headers, &site), want, "{policy}");
            }
        }
    }

    #[test]
    fn every_policy_must_agree() {
        assert_eq!(
            asked(&["script-src 'self'", "script-src 'none'"]),
            Ruling::Blocked("script-src")
        );
        assert_eq!(asked(&["script-src 'self', script-src 'none'"]), Ruling::Blocked("script-src"));
        let both = ["script-src 'nonce-a' 'nonce-b'", "script-src 'nonce-b'"];
        assert_eq!(asked(&both), Ruling::Nonce("b".to_owned()));
        let apart = ["script-src 'nonce-a'", "script-src 'nonce-b'"];
        assert_eq!(asked(&apart), Ruling::Blocked("script-src"));
    }

    #[test]
    fn reports_do_not_block() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_SECURITY_POLICY_REPORT_ONLY,
            HeaderValue::from_static("default-src 'none'"),
        );
        let site = Site { authority: None, script: "/s", own: "/t/" };
        assert_eq!(ask(&headers, &site), Ruling::Runs);
        let tried = HeaderValue::from_static("script-src 'nonce-t' 'strict-dynamic'");
        headers.insert(header::CONTENT_SECURITY_POLICY_REPORT_ONLY, tried);
        assert_eq!(ask(&headers, &site), Ruling::Nonce("t".to_owned()));
    }
}
