//! Launching a node on another machine, by the system's ssh.
//!
//! `ssh MACHINE placehost node --bootstrap` reads one line from its standard input: the certificate by which it proves itself, with
//! its key, valid for a day. It answers with one line of JSON: where it listens. From then on the input only tells it, by ending,
//! that its creator has. So nothing is stored over there, and nothing is left.

use std::fmt::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::config::{Dir, Objects, Output};
use crate::net::session::Session;
use crate::net::trust::certificate::Name;
use crate::net::trust::identity::Identity;
use crate::node::CreateOptions;

/// How long ssh and the start over there may take, if nobody says otherwise.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the certificate of a node is valid that is launched so.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// What is kept of what ssh says, to be shown when it fails.
const KEPT: usize = 4 << 10;
/// The longest answer, with what a shell says before.
const LONGEST_ANSWER: u64 = 64 << 10;
/// What is shown of something else: enough to see what it is, and too little for a key, if somebody sends ours back.
const LONGEST_SHOWN: usize = 60;

/// The line that a launched node answers with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ready {
    /// The UDP port that it listens on.
    pub port: u16,
    /// The addresses by which it knows its machine, with the port.
    pub addresses: Vec<String>,
}

/// A node that was launched, and the ssh that it hangs on.
pub(super) struct Launched {
    child: Child,
    /// Held open: its end is the node's.
    _stdin: ChildStdin,
    output: (BufReader<ChildStdout>, ChildStderr),
    outputs: (Output, Output),
    addresses: Vec<String>,
}

/// Launches a node.
///
/// # Errors
/// A text: what was run, how far it came, and what ssh said.
pub(super) async fn launch(
    machine: &str,
    options: CreateOptions,
    identity: &Identity,
    stdout: Output,
    stderr: Output,
) -> Result<Launched, String> {
    if machine.is_empty() || machine.starts_with('-') || machine.chars().any(char::is_whitespace) {
        return Err(format!("`{machine}` names no machine"));
    }
    let ssh = options.ssh_path.as_deref().unwrap_or("ssh");
    let placehost = options.placehost_path.as_deref().unwrap_or("placehost");
    let patience = options.time_out.unwrap_or(PATIENCE);
    let port = options.listen_port.map_or_else(|| "0".into(), |port| port.to_string());
    let mut remote = format!("{} node --bootstrap --listen-port {port}", quote(placehost));
    if let Some(fuel) = options.fuel {
        let _ = write!(remote, " --fuel {fuel}");
    }
    let mode = |read_only| if read_only { ":ro" } else { "" };
    for Dir { host, guest, read_only } in &options.dirs {
        let _ = write!(remote, " --dir {}", quote(&format!("{}::{guest}{}", host.display(), mode(*read_only))));
    }
    for Objects { url, read_only, .. } in &options.objects {
        let _ = write!(remote, " --objects {}", quote(&format!("{url}{}", mode(*read_only))));
    }
    let target = options.user.as_deref().map_or_else(|| machine.to_owned(), |user| format!("{user}@{machine}"));

    let name: Name = machine.parse().unwrap_or_else(|_| Name::of_this_machine());
    let bundle = identity.bundle_for_child(&name, LIFE).map_err(|error| error.to_string())?;
    let mut command = Command::new(ssh);
    // It must not ask for anything: nobody would answer.
    command.args(["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "--", &target, &remote]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("cannot run `{ssh}` to reach `{machine}`: {error}"))?;
    let (Some(mut stdin), Some(out), Some(mut err)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return Err(format!("cannot talk to `{ssh}`"));
    };
    let mut out = BufReader::new(out);
    let mut greeting = Vec::new();
    let mut said = Vec::new();
    let exchange = async {
        // If it reads nothing it has ended, which the answer will show.
        let _ = stdin.write_all(format!("{bundle}\n").as_bytes()).await;
        let _ = stdin.flush().await;
        tokio::select! {
            answer = answer(&mut out, &mut greeting) => answer,
            // Until the answer, what ssh says is why there is none.
            error = keep(&mut err, &mut said) => Err(error),
        }
    };
    let answered = tokio::time::timeout(patience, exchange).await;
    if let Ok(Ok(Some(Ready { port, addresses }))) = answered {
        let addresses = std::iter::once(format!("{}:{port}", bracketed(host_of(machine)))).chain(addresses).collect();
        return Ok(Launched { child, _stdin: stdin, output: (out, err), outputs: (stdout, stderr), addresses });
    }
    drop(stdin);
    let _ = tokio::time::timeout(Duration::from_millis(500), err.read_to_end(&mut said)).await;
    let ended = tokio::time::timeout(Duration::from_millis(500), child.wait()).await;
    let mut text = format!("no node was launched on `{machine}` by `{ssh} {target} {remote}`");
    let _ = match (&answered, ended) {
        (Err(_), _) => write!(text, ": no answer within {} s", patience.as_secs_f32()),
        (_, Ok(Ok(status))) => write!(text, ": ssh ended with {status}"),
        _ => Ok(()),
    };
    if let Some(line) = String::from_utf8_lossy(&greeting).lines().last() {
        let _ = write!(text, "; it answered `{}`", line.chars().take(LONGEST_SHOWN).collect::<String>().escape_debug());
    }
    let said = String::from_utf8_lossy(&said);
    for line in said.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev() {
        let _ = write!(text, "\n{line}");
    }
    Err(text)
}

/// Reads on to the answer. What a shell over there says before, as some greet whoever logs in, is no part of it.
async fn answer(from: &mut BufReader<ChildStdout>, greeting: &mut Vec<u8>) -> std::io::Result<Option<Ready>> {
    let mut from = from.take(LONGEST_ANSWER);
    loop {
        let mut line = Vec::new();
        if from.read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        if let Ok(ready) = serde_json::from_slice(&line) {
            return Ok(Some(ready));
        }
        greeting.append(&mut line);
    }
}

/// Collects what ssh says, until that fails.
async fn keep(from: &mut ChildStderr, said: &mut Vec<u8>) -> std::io::Error {
    let mut piece = [0; 1024];
    loop {
        match from.read(&mut piece).await {
            Ok(0) => std::future::pending().await,
            Ok(count) if said.len() + count <= KEPT => said.extend_from_slice(&piece[..count]),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

impl Launched {
    /// Where it may be reached, the likeliest first.
    pub(super) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Passes on what the process says, and ends it when the session is over.
    pub(super) async fn keep(self, session: Arc<Session>) {
        let Self { mut child, _stdin, output: (out, err), outputs: (stdout, stderr), .. } = self;
        tokio::select! {
            () = async { tokio::join!(pass(out, stdout), pass(err, stderr)); std::future::pending().await } => {}
            _ = session.lost() => {}
            _ = child.wait() => {}
        }
        drop(_stdin);
        // It ends by itself when its input does; if not, what we can end is ssh.
        let _ = tokio::time::timeout(Duration::from_secs(2), child.wait()).await;
    }
}

async fn pass(mut from: impl tokio::io::AsyncRead + Unpin, to: Output) {
    let mut piece = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        // Whoever reads it may have gone.
        let _ = to.0.write(&piece[..count]);
    }
}

/// The part of a machine's name that is its address; ssh takes it with a user.
fn host_of(machine: &str) -> &str {
    machine.rsplit_once('@').map_or(machine, |(_, host)| host)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// As one word for the shell over there.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-~+".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_over_there() {
        assert_eq!(quote("~/bin/placehost"), "~/bin/placehost");
        assert_eq!(quote("/opt/my apps/it's"), r"'/opt/my apps/it'\''s'");
    }
}
