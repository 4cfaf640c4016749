//! An HTTP server that answers what a test says, byte by byte if need be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use url::Url;

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub fn is_discovery(&self) -> bool {
        self.target.ends_with("page_size=1") || self.target.ends_with("limit=1")
    }
}

/// What to do with a request.
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Promises a longer body than it sends.
    Cut,
    /// Sends a body without an end.
    Endless,
    /// Accepts the request and says nothing.
    Silent,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::json_text(status, &body.to_string())
    }

    pub fn json_text(status: u16, body: &str) -> Self {
        Self::text(status, "application/json", body)
    }

    pub fn html(status: u16) -> Self {
        Self::text(status, "text/html", "<html>a page of another program</html>")
    }

    fn text(status: u16, kind: &str, body: &str) -> Self {
        let headers = vec![("Content-Type", kind.to_owned())];
        Self::Answer { status, headers, body: body.to_owned() }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// A running scripted server, with what it was asked.
pub struct Scripted {
    pub url: Url,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Scripted {
    pub fn http(respond: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(respond, None)
    }

    pub fn https(
        respond: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        tls: Arc<ServerConfig>,
    ) -> Self {
        Self::start(respond, Some(tls))
    }

    /// All requests so far but those that find out the generation.
    pub fn requests(&self) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| !request.is_discovery()).cloned().collect()
    }

    /// The accepting thread ends with the process.
    fn start(
        respond: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, respond) = (requests.clone(), Arc::new(respond));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, respond, tls) = (seen.clone(), respond.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream, &seen, &*respond),
                    Some(tls) => {
                        let session = ServerConnection::new(tls).unwrap();
                        serve(StreamOwned::<_, TcpStream>::new(session, stream), &seen, &*respond)
                    }
                });
            }
        });
        Self { url: Url::parse(&format!("{scheme}://localhost:{port}/")).unwrap(), requests }
    }
}

/// Serves one request and closes the connection. An error means that the other side has left.
fn serve(
    mut stream: impl Read + Write,
    seen: &Mutex<Vec<Request>>,
    respond: &dyn Fn(&Request) -> Reply,
) -> Option<()> {
    let request = read(&mut stream)?;
    seen.lock().unwrap().push(request.clone());
    match respond(&request) {
        Reply::Answer { status, headers, body } => {
            write!(stream, "HTTP/1.1 {status} Scripted\r\nConnection: close\r\n").ok()?;
            for (name, value) in headers {
                write!(stream, "{name}: {value}\r\n").ok()?;
            }
            if status != 204 {
                write!(stream, "Content-Length: {}\r\n", body.len()).ok()?;
            }
            write!(stream, "\r\n{body}").ok()?;
        }
        Reply::Cut => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{{\"client_id\":")
                .ok()?;
        }
        Reply::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\n\r\n[").ok()?;
            while stream.write_all(&[b' '; 8192]).is_ok() {}
        }
        Reply::Silent => std::thread::sleep(Duration::from_secs(30)),
    }
    stream.flush().ok()
}

fn read(stream: &mut impl Read) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ').map(str::to_owned);
    let mut request =
        Request { method: words.next()?, target: words.next()?, ..Default::default() };
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        request.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = request.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}
