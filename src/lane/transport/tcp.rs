//! Bodies on a connection of their own, without HTTP and without an answer.

use super::Transport;
use crate::formats::Content;
use crate::http::{HttpSettings, TcpClient};
use crate::lane::verdict::Answer;

/// Writes to one peer.
pub struct Tcp(TcpClient);

/// What waited when a destination of another type became one of these is none of its bodies.
const UNFIT: Answer = Answer::Unfit("it is of the type that the destination had before");

impl Tcp {
    /// Connects to nothing yet.
    pub fn new(name: &str, settings: &HttpSettings) -> Tcp {
        Tcp(TcpClient::new(&format!("destination {name}"), settings.clone()))
    }
}

impl Transport for Tcp {
    fn send(&mut self, content: &Content, body: &[u8]) -> Answer {
        let is_text = |(name, value): &(String, String)| name == "Content-Type" && value.starts_with("text/x-");
        if content.len() != 1 || !content.iter().all(is_text) {
            return UNFIT;
        }
        match self.0.send(body) {
            Ok(()) => Answer::Local(Ok(())),
            Err(error) => Answer::Network(error.to_string()),
        }
    }

    fn agreed(&self) -> Option<String> {
        self.0.agreed()
    }

    fn has_new_credentials(&mut self) -> bool {
        self.0.refresh()
    }
}
