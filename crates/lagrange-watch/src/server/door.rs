//! Who is let in: nobody under a foreign name, and only those with the token, if there is one.

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, HeaderValue, Uri};
use lagrange_protocol::Token;
use std::net::{IpAddr, SocketAddr};
use tonic::metadata::MetadataMap;

/// Whether a request for `headers` may be answered by a server at `address`. A page of the internet can have
/// a name of its own lead to this machine, and so read what is answered here (DNS rebinding): where only this
/// machine is let in, it must be asked for by its own name.
pub(super) fn is_own_name(headers: &HeaderMap, address: SocketAddr) -> bool {
    if !address.ip().is_loopback() {
        return true;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|of| of.is_ascii_digit()) => name,
            _ => host,
        };
        let ip = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost") || ip.parse::<IpAddr>().is_ok()
    })
}

/// Whether a request shows `token`, in its headers or as `?token=`.
pub(super) fn shows(token: &Token, headers: &HeaderMap, uri: &Uri) -> bool {
    let shown = |headers: HeaderMap| token.is_shown(&MetadataMap::from_headers(headers));
    let in_query = uri.query().and_then(|query| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == "token")?;
        HeaderValue::try_from(format!("Bearer {}", decoded(value)?)).ok()
    });
    let as_header = in_query.map(|value| HeaderMap::from_iter([(AUTHORIZATION, value)]));
    as_header.is_some_and(shown) || shown(headers.clone())
}

/// `text` without the percent signs of a query.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(next) = rest.next() {
        bytes.push(match next {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            next => next,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: axum::http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn this_machine_is_asked_for_by_its_own_name() {
        let local = "127.0.0.1:7401".parse().expect("an address");
        let asked = |host| is_own_name(&headers(HOST, host), local);
        for own in [
            "localhost:7401",
            "LOCALHOST",
            "127.0.0.1:1",
            "[::1]:7401",
            "10.0.0.7",
        ] {
            assert!(asked(own), "{own}");
        }
        for foreign in [
            "evil.example:7401",
            "localhost.evil.example",
            "",
            "127.0.0.1.nip.io",
        ] {
            assert!(!asked(foreign), "{foreign}");
        }
        assert!(!is_own_name(&HeaderMap::new(), local));
        let open = "0.0.0.0:7401".parse().expect("an address");
        assert!(is_own_name(&headers(HOST, "trainer.example"), open));
    }

    #[test]
    fn the_token_is_shown_by_header_or_in_the_address() {
        let token = Token::new("0123456789+abcdef").expect("long enough");
        let asked =
            |headers: HeaderMap, uri: &'static str| shows(&token, &headers, &Uri::from_static(uri));
        assert!(asked(
            headers(AUTHORIZATION, "Bearer 0123456789+abcdef"),
            "/"
        ));
        assert!(asked(HeaderMap::new(), "/?x=1&token=0123456789%2Babcdef"));
        for wrong in [
            "/",
            "/?token=",
            "/?token=0123456789+abcdef",
            "/?token=%",
            "/?token=%zz",
            "/?token=%0a%c3%28",
        ] {
            assert!(!asked(HeaderMap::new(), wrong), "{wrong}");
        }
        assert!(!asked(headers(AUTHORIZATION, "0123456789+abcdef"), "/"));
    }
}
