//! As much of an HTTP/1.1 client as load needs: one connection, kept open, one request at a time. A whole client
//! would take from the server a part of the machine that the floor does not lose.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// A connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    host: String,
}

/// An answer, whole.
pub struct Answer {
    pub status: u16,
    /// `name: value` lines with names in small letters.
    head: Vec<String>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Every value of a header.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.head
            .iter()
            .filter_map(|line| line.split_once(": "))
            .filter(move |(known, _)| *known == name)
            .map(|(_, value)| value)
    }
}

impl Client {
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::with_capacity(64 << 10, stream),
            host: address.to_owned(),
        })
    }

    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        self.request("GET", path, headers, "").await
    }

    /// Posts JSON as the bearer of a token and answers with JSON.
    pub async fn post_json(&mut self, path: &str, token: &str, body: &Value) -> Result<Value> {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("content-type", "application/json")];
        if !token.is_empty() {
            headers.push(("authorization", &bearer));
        }
        let answer = self
            .request("POST", path, &headers, &body.to_string())
            .await?;
        json("POST", path, &answer)
    }

    /// Gets JSON as the bearer of a token.
    pub async fn get_json(&mut self, path: &str, token: &str) -> Result<Value> {
        let answer = self
            .get(path, &[("authorization", &format!("Bearer {token}"))])
            .await?;
        json("GET", path, &answer)
    }

    pub async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer> {
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n",
            self.host,
            body.len()
        );
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        text += body;
        self.stream.write_all(text.as_bytes()).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Answer> {
        let first = self.line().await?;
        let status = first.get(9..12).and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("no status in {first:?}"))?;
        let mut head = Vec::with_capacity(16);
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let at = line.find(':').unwrap_or(0);
            head.push(line[..at].to_ascii_lowercase() + &line[at..]);
        }
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
        };
        let length = answer
            .headers("content-length")
            .next()
            .map(str::parse)
            .transpose()?;
        if let Some(length) = length {
            self.more(&mut answer.body, length).await?;
        } else if answer
            .headers("transfer-encoding")
            .any(|coding| coding == "chunked")
        {
            loop {
                let size = usize::from_str_radix(self.line().await?.trim(), 16)?;
                self.more(&mut answer.body, size).await?;
                self.line().await?;
                if size == 0 {
                    break;
                }
            }
        }
        Ok(answer)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(
            self.stream.read_line(&mut line).await? > 0,
            "the server closed the connection"
        );
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    async fn more(&mut self, body: &mut Vec<u8>, bytes: usize) -> Result<()> {
        let from = body.len();
        body.resize(from + bytes, 0);
        self.stream.read_exact(&mut body[from..]).await?;
        Ok(())
    }
}

fn json(method: &str, path: &str, answer: &Answer) -> Result<Value> {
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(
        (200..300).contains(&answer.status),
        "{method} {path} answered {}: {text}",
        answer.status
    );
    Ok(serde_json::from_str(&text)?)
}
