//! A host that says what a test wants, and notes what it was asked: so what the tool sends is shown without a host, and
//! that the host understands it is shown with the real one, in `tests/it`.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, sync_channel};

/// What it was asked.
#[derive(Debug)]
pub struct Asked {
    /// `POST /v1/plugins/game/active`
    pub line: String,
    /// The lines of the head, in small letters.
    pub head: String,
    pub body: Vec<u8>,
}

impl Asked {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Starts one that gives these answers in turn, each a status and a body: its address, and what it is asked.
pub fn host(answers: Vec<(u16, Vec<u8>)>) -> (String, Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = format!("http://{}", listener.local_addr().expect("it listens"));
    let (sender, asked) = sync_channel(answers.len());
    std::thread::spawn(move || {
        for (status, answer) in answers {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).expect("a head ends");
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).expect("text").replace("\r\n", "\n");
            let (line, head) = head.split_once('\n').expect("a first line");
            let mut asked = Asked {
                line: line.trim_end_matches(" HTTP/1.1").to_owned(),
                // Names of headers only; what is looked at here has values in small letters, or is read by its own case.
                head: head.lines().map(in_small_letters).collect::<Vec<_>>().join("\n"),
                body: Vec::new(),
            };
            let len = asked.header("content-length").map_or(0, |len| len.parse().expect("a number"));
            asked.body = vec![0; len];
            stream.read_exact(&mut asked.body).expect("the body is whole");
            let len = answer.len();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n");
            stream.write_all(&[head.as_bytes(), &answer].concat()).expect("the tool reads");
            sender.send(asked).expect("there is room for each");
        }
    });
    (address, asked)
}

fn in_small_letters(line: &str) -> String {
    line.split_once(':').map_or(line.to_owned(), |(name, value)| format!("{}:{value}", name.to_ascii_lowercase()))
}
