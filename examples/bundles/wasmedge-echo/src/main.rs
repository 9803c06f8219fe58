//! `GET /` answers a line and `POST /echo` the request's body, over sockets as WasmEdge has them: one connection after
//! another, one request on each.

use std::io::{Error, ErrorKind, Read, Result, Write};
use wasmedge_wasi_socket::{Shutdown, TcpListener, TcpStream};

const MOST: usize = 16 << 20; // bytes of a request that are read

fn main() -> Result<()> {
    let listener = TcpListener::bind("0.0.0.0:8080", false)?;
    println!("listening on port 8080");
    loop {
        let (stream, _) = listener.accept(false)?;
        if let Err(error) = serve(stream) {
            eprintln!("a connection: {error}");
        }
    }
}

fn serve(mut stream: TcpStream) -> Result<()> {
    let (head, body) = request(&mut stream)?;
    let (status, answer) = match (word(&head, 0), word(&head, 1)) {
        ("GET", "/") => ("200 OK", b"post something to /echo\n".to_vec()),
        ("POST", "/echo") => ("200 OK", body),
        _ => ("404 Not Found", b"there is / and /echo\n".to_vec()),
    };
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len())?;
    stream.write_all(&answer)?;
    stream.shutdown(Shutdown::Both)
}

/// The request's head, and the body after it, whose length the head tells.
fn request(stream: &mut TcpStream) -> Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    let end = loop {
        match read.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(end) => break end,
            None => more(stream, &mut read)?,
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let mut body = read.split_off(end + 4);
    while body.len() < length(&head) {
        more(stream, &mut body)?;
    }
    Ok((head, body))
}

fn more(stream: &mut TcpStream, read: &mut Vec<u8>) -> Result<()> {
    let mut part = [0; 4096];
    match stream.read(&mut part)? {
        0 => Err(Error::new(ErrorKind::UnexpectedEof, "it ended within a request")),
        _ if read.len() > MOST => Err(Error::new(ErrorKind::InvalidData, "a request that is too long")),
        count => Ok(read.extend_from_slice(&part[..count])),
    }
}

fn length(head: &str) -> usize {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    found.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}

fn word(head: &str, index: usize) -> &str {
    head.split_whitespace().nth(index).unwrap_or("")
}
