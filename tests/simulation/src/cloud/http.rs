//! HTTP/1.1, as much as the services need.

use std::io::{self, Read};

use super::parameters::percent_decode;

const HEAD_LIMIT: usize = 128 * 1024;
const BODY_LIMIT: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// As it was sent.
    pub(super) target: String,
    /// Without the query, decoded.
    pub(super) path: String,
    /// As it was sent, without the `?`.
    pub(super) query: String,
    /// `GET http://host/path`: how one speaks to a proxy.
    pub(super) absolute_form: bool,
    /// Lower-case names.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Everything that was sent, as text.
    pub(super) raw: String,
}

impl Request {
    /// The next request on a connection; None when the client has closed it.
    ///
    /// `pending` keeps what was read beyond the request. An error of kind `InvalidData` means that
    /// something came which is not HTTP.
    pub(super) fn read(stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<Option<Self>> {
        let head_end = loop {
            if let Some(at) = pending.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if pending.len() > HEAD_LIMIT {
                return Err(malformed("the head has no end"));
            }
            if read_more(stream, pending)? == 0 {
                return if pending.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        };
        let head = String::from_utf8(pending[..head_end].to_vec())
            .map_err(|_| malformed("the head is not text"))?;
        pending.drain(..head_end + 4);
        let mut request = Self::parse_head(&head)?;
        request.body = request.read_body(stream, pending)?;
        request.raw = format!("{head}\n\n{}", String::from_utf8_lossy(&request.body));
        Ok(Some(request))
    }

    fn parse_head(head: &str) -> io::Result<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(malformed("the first line is no HTTP/1.1 request"));
        };
        let headers = lines
            .map(|line| {
                let (name, value) =
                    line.split_once(':').ok_or_else(|| malformed("a header without a colon"))?;
                Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect::<io::Result<Vec<_>>>()?;
        let (absolute_form, local) = match target.split_once("://") {
            Some((_, rest)) => (true, rest.find('/').map_or("/", |at| &rest[at..])),
            None => (false, target),
        };
        let (path, query) = local.split_once('?').unwrap_or((local, ""));
        let path = percent_decode(path).ok_or_else(|| malformed("the path is wrongly encoded"))?;
        Ok(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            path,
            query: query.to_owned(),
            absolute_form,
            headers,
            ..Self::default()
        })
    }

    fn read_body(&self, stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        if self
            .header("transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
        {
            return read_chunks(stream, pending);
        }
        let length = match self.header("content-length") {
            None => 0,
            Some(text) => text.parse().map_err(|_| malformed("Content-Length is no number"))?,
        };
        take(stream, pending, length)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The Host header without a port, in lower case.
    pub(super) fn host_name(&self) -> String {
        let host = self.header("host").unwrap_or_default();
        host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase()
    }

    pub(super) fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

fn read_chunks(stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = take_line(stream, pending)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| malformed("a chunk has no size"))?;
        body.extend(take(stream, pending, size)?);
        take_line(stream, pending)?;
        if size == 0 {
            return Ok(body);
        }
        if body.len() > BODY_LIMIT {
            return Err(malformed("the body is too large"));
        }
    }
}

fn take_line(stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<String> {
    loop {
        if let Some(at) = pending.windows(2).position(|window| window == b"\r\n") {
            let line = take(stream, pending, at + 2)?;
            return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
        }
        if read_more(stream, pending)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn take(stream: &mut impl Read, pending: &mut Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
    if length > BODY_LIMIT {
        return Err(malformed("the body is too large"));
    }
    while pending.len() < length {
        if read_more(stream, pending)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(pending.drain(..length).collect())
}

fn read_more(stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 8192];
    let count = stream.read(&mut buffer)?;
    pending.extend_from_slice(&buffer[..count]);
    Ok(count)
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// An answer. `Date`, `Connection` and the framing are added when it is sent.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: body.into() }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The bytes before the body.
    pub(super) fn head(&self, more: &[(&str, String)]) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value));
        let more = more.iter().map(|(name, value)| (*name, value));
        for (name, value) in own.chain(more) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Something Else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &str) -> io::Result<Option<Request>> {
        Request::read(&mut bytes.as_bytes(), &mut Vec::new())
    }

    #[test]
    fn bodies_come_counted_or_in_chunks() {
        let text = "POST /a%20b?x=1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\n\r\nabcGET";
        let request = read(text).unwrap().unwrap();
        assert_eq!((request.path.as_str(), request.query.as_str()), ("/a b", "x=1"));
        assert_eq!(request.body, b"abc");
        assert_eq!(request.host_name(), "h");
        let chunked =
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        assert_eq!(read(chunked).unwrap().unwrap().body, b"abc");
    }

    #[test]
    fn a_request_to_a_proxy_is_told_apart() {
        let request = read("GET http://100.100.100.200/latest HTTP/1.1\r\n\r\n").unwrap().unwrap();
        assert!(request.absolute_form);
        assert_eq!(request.path, "/latest");
    }

    #[test]
    fn what_is_not_http_is_an_error() {
        assert!(read("").unwrap().is_none());
        for wrong in
            ["\u{16}\u{3}\u{1}\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"]
        {
            assert_eq!(read(wrong).unwrap_err().kind(), io::ErrorKind::InvalidData, "{wrong:?}");
        }
        assert_eq!(read("GET / HT").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
