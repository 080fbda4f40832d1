//! A stand-in for the kubelet: it says that it is healthy, and ends at once if its flags name what is not
//! there, or if `/etc/kubelet-dislikes-flags` is there.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::exit;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|word| word == "--version") {
        println!("Kubernetes v1.30.1");
        return;
    }
    for flag in ["--image-credential-provider-config=", "--image-credential-provider-bin-dir="] {
        let mut values = arguments.iter().filter_map(|word| word.strip_prefix(flag));
        if let Some(path) = values.next() {
            if !Path::new(path).exists() || Path::new("/etc/kubelet-dislikes-flags").exists() {
                eprintln!("Failed to register CRI auth plugins: {path}");
                exit(1);
            }
        }
    }
    let listener = TcpListener::bind("127.0.0.1:10248").expect("the port of a kubelet's health");
    for mut stream in listener.incoming().map_while(Result::ok) {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nok");
    }
}
