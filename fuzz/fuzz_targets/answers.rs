//! Answers of servers, whatever they are: the client takes no more of them than its limit,
//! and nothing of them is said where credentials went along.

#![no_main]

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use metricsd::http::{Access, BodyLimit, Client, HttpSettings, Request, Said, TimeLimits, answered};

const LIMIT: usize = 4 << 10;

/// A server that gives each connection what stands here.
struct Server {
    url: String,
    answer: Mutex<Vec<u8>>,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("metricsd-fuzz-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map(Result::unwrap) {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(&server().answer.lock().unwrap());
            }
        });
        Server { url: format!("unix://{}:/", path.display()), answer: Mutex::default() }
    });
    server
}

fuzz_target!(|input: &[u8]| {
    let server = server();
    *server.answer.lock().unwrap() = input.to_vec();
    let settings = HttpSettings { timeout: Duration::from_secs(10), ..HttpSettings::new(server.url.as_str().into()) };
    let access = Arc::new(Access::new("fuzz", &settings, &TimeLimits::default()));
    for limit in [BodyLimit::Refuse(LIMIT), BodyLimit::Keep(LIMIT)] {
        let mut body = Vec::new();
        let answer = Client::new(Arc::clone(&access)).send(&Request::get(limit), &mut body);
        assert!(body.len() <= LIMIT);
        let Ok(answer) = answer else { continue };
        let line = answered(answer.status, &Said::of(&body, false, 512));
        assert!(line.len() < 1024 && !line.contains('\n'), "{line}");
        assert!(matches!(Said::of(&body, true, 512), Said::Nothing | Said::Hidden));
    }
});
