//! Credentials of Pollcast's own: fields that come from the environment or a file, never from the
//! configuration itself.

use super::value::{Read, Value, refuse, text};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// Request fields that carry service credentials. Their values are marked sensitive, and nothing
/// prints them.
#[derive(Clone)]
pub struct Service(Arc<HeaderMap>);

impl Service {
    /// The fields.
    #[must_use]
    pub fn fields(&self) -> &HeaderMap {
        &self.0
    }
}

impl std::fmt::Debug for Service {
    /// Names, and a digest that tells two values apart without telling them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut hasher = blake3::Hasher::new_derive_key("pollcast poll_as");
        for value in self.0.values() {
            hasher.update(&(value.len() as u64).to_le_bytes());
            hasher.update(value.as_bytes());
        }
        let digest = &hasher.finalize().to_hex()[..8];
        f.debug_struct("Service").field("fields", &self.0.keys()).field("is", &digest).finish()
    }
}

/// Reads `env:NAME` or `file:/path`, whose text is one field a line, or `off`.
pub(super) fn service(value: &Value<'_>) -> Read<Option<Service>> {
    const MOST: usize = 16 << 10;
    let written = text(value, "env:SERVICE_AUTH")?;
    if written == "off" {
        return Ok(None);
    }
    let secret = if let Some(name) = written.strip_prefix("env:") {
        std::env::var(name).map_err(|_| format!("the environment has no variable {name}"))
    } else if let Some(path) = written.strip_prefix("file:") {
        std::fs::read_to_string(path).map_err(|error| format!("{path} can't be read: {error}"))
    } else {
        // Never repeats the text: it may be the secret itself.
        let advice = "write \"env:NAME\" or \"file:/path\", or \"off\"";
        return refuse(value, format!("names no place for a secret: {advice}"));
    };
    let secret = zeroize::Zeroizing::new(secret.or_else(|text| refuse(value, text))?);
    let mut fields = HeaderMap::new();
    for line in secret.lines().filter(|line| !line.trim().is_empty()) {
        let field = line.split_once(':').and_then(|(name, value)| {
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name.trim()).ok()?, value))
        });
        let Some((name, secret)) = field.filter(|_| line.len() <= MOST) else {
            let advice = "its text must be a field a line, as in \"Authorization: Bearer …\"";
            return refuse(value, format!("{written} holds something else: {advice}"));
        };
        fields.append(name, secret);
    }
    if fields.is_empty() {
        return refuse(value, format!("{written} is empty: put a field there, or write \"off\""));
    }
    Ok(Some(Service(Arc::new(fields))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::Spanned;
    use toml::de::DeValue;

    fn read(text: &str) -> Result<Option<Service>, String> {
        let value = Spanned::new(0..0, DeValue::String(text.into()));
        service(&value).map_err(|problems| problems[0].text.clone())
    }

    #[test]
    fn a_file_gives_fields_that_nothing_prints() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "Authorization: Bearer planted\nX-Tenant: planted\n").unwrap();
        let written = format!("file:{}", file.path().display());
        let service = read(&written).unwrap().unwrap();
        assert_eq!(service.fields()["authorization"], "Bearer planted");
        assert!(!format!("{service:?} {:?}", service.fields()).contains("planted"));
        std::fs::write(file.path(), "Bearer planted").unwrap();
        let fault = read(&written).unwrap_err();
        assert!(fault.contains("a field a line") && !fault.contains("planted"), "{fault}");
        std::fs::write(file.path(), "\n").unwrap();
        assert!(read(&written).unwrap_err().contains("is empty"));
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated() {
        assert!(read("off").unwrap().is_none());
        assert!(!read("Bearer planted").unwrap_err().contains("planted"));
        assert!(read("env:POLLCAST_HAS_NO_SUCH").unwrap_err().contains("has no variable"));
        assert!(read("file:/no/such/file").unwrap_err().contains("can't be read"));
    }
}
