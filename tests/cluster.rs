//! `placehost cluster`: made once, shown, invited to, revoked from; and what it says where that cannot be.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use placehost::net::trust::identity::Identity;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Run, placehost};

/// A user's folder, not made yet.
struct Home {
    _above: TempDir,
    path: PathBuf,
}

impl Home {
    fn new() -> Self {
        let above = tempfile::tempdir().expect("there is room");
        Self { path: above.path().join("home"), _above: above }
    }

    /// With a cluster in it.
    fn with_cluster() -> Self {
        let home = Self::new();
        home.cluster(&["init", "--name", "lab", "--node", "host1"]).fails(0, &["Made the cluster `lab` in ", "placehost cluster invite"]);
        home
    }

    fn cluster(&self, args: &[&str]) -> Run {
        let args: Vec<_> = ["cluster"].iter().chain(args).collect();
        placehost(args).env("PLACEHOST_HOME", self.path.to_str().expect("its path is text"))
    }

    fn shown(&self) -> Value {
        serde_json::from_str(&self.cluster(&["show", "--json"]).fails(0, &[]).stdout).expect("it is JSON")
    }

    fn mode(&self, file: &str) -> u32 {
        fs::metadata(self.path.join(file)).expect("it is there").permissions().mode() & 0o777
    }
}

#[test]
fn a_cluster_is_made_for_its_user_alone() {
    let home = Home::with_cluster();
    assert_eq!(home.mode(""), 0o700);
    for file in ["authority.key", "authority.pem", "node.key", "node.pem", "revoked.crl"] {
        assert_eq!(home.mode(file), 0o600, "{file}");
    }
    let shown = home.shown();
    assert_eq!((&shown["authority"]["name"], &shown["node"]["name"]), (&"lab".into(), &"host1".into()));
    assert_eq!(
        (&shown["is_authority"], &shown["revoked"], &shown["invites"]),
        (&true.into(), &Value::Array(vec![]), &Value::Array(vec![]))
    );
    assert_eq!(shown["members"].as_array().map(Vec::len), Some(1));
    let table = home.cluster(&["show"]).fails(0, &[]).stdout;
    for row in ["cluster    lab\n", "           this machine\n", "node       host1\n", "members    host1 ("] {
        assert!(table.contains(row), "`{row}` is not in: {table}");
    }
}

#[test]
fn a_cluster_is_never_overwritten() {
    let home = Home::with_cluster();
    let before = fs::read(home.path.join("authority.key")).expect("it is there");
    home.cluster(&["init"]).fails(1, &["belongs to a cluster already", "hint: `placehost cluster show` says which"]);
    assert_eq!(fs::read(home.path.join("authority.key")).expect("it is there"), before);
}

#[test]
fn without_a_cluster_each_command_says_how_to_get_one() {
    let home = Home::new();
    for args in [&["show"][..], &["invite"], &["revoke", "host2"]] {
        let hints = ["error: this machine is in no cluster", "hint: `placehost cluster init` makes one", "placehost node --join TOKEN"];
        assert_eq!(home.cluster(args).fails(1, &hints).stdout, "");
    }
    assert!(!home.path.exists(), "to look is not to make");
}

#[test]
fn a_token_is_one_line_and_each_is_another() {
    let home = Home::with_cluster();
    let invite = || home.cluster(&["invite", "--address", "host1.example.org", "--address", "[2001:db8::1]:7000"]).fails(0, &[]);
    let (one, two) = (invite(), invite());
    assert!(one.stdout.starts_with("ph1-") && one.stdout.lines().count() == 1, "{}", one.stdout);
    assert_eq!(one.stderr, "");
    assert_ne!(one.stdout, two.stdout);
    assert_eq!(home.shown()["invites"].as_array().map(Vec::len), Some(2));
    let table = home.cluster(&["show"]).fails(0, &[]).stdout;
    assert!(table.contains("invites    "), "{table}");
    // What is on the disk is no secret: nobody can join by it.
    let kept = fs::read_dir(home.path.join("invites")).expect("it is there").count();
    assert_eq!(kept, 2);
}

#[test]
fn a_token_wants_addresses_and_a_time_that_make_sense() {
    let home = Home::with_cluster();
    for (args, says) in [
        (&["invite", "--address", "a b"][..], "it names no machine; write it like `host2:6340`"),
        (&["invite", "--address", "host:0"], "its port is no number from 1 to 65535"),
        (&["invite", "--address", "host", "--expires", "1000h"], "a token can be used for at most 30 days"),
        (&["invite", "--address", "host", "--expires", "soon"], "--expires"),
        (&["init", "--name", "no name"], "a name is 1 to 63 letters"),
    ] {
        home.cluster(args).fails(2, &[says]);
    }
    let many: Vec<_> = ["--address", "host"].repeat(9);
    home.cluster(&[&["invite"], &many[..]].concat()).fails(2, &["a token has at most 8 addresses"]);
}

#[test]
fn who_is_revoked_has_to_be_known() {
    let home = Home::with_cluster();
    home.cluster(&["revoke", "host9"]).fails(1, &["there is no certificate of `host9` that is valid", "there are certificates of `host1`"]);
    home.cluster(&["revoke", "host1"]).fails(1, &["`host1` is the authority's own node", "hint: "]);
}

#[test]
fn who_is_revoked_is_said_and_shown() {
    let home = Home::with_cluster();
    let identity = Identity::load(&home.path).expect("it can be used");
    let hour = std::time::Duration::from_secs(3600);
    for name in ["host2", "host3"] {
        identity.bundle_for_child(&name.parse().expect("it is a name"), hour).expect("it can be issued");
    }
    let ended = home.cluster(&["revoke", "host2"]).fails(0, &["Revoked host2 ("]);
    assert_eq!(ended.stdout, "");
    home.cluster(&["revoke", "host2"]).fails(1, &["`host2` is revoked already", "hint: "]);
    let shown = home.shown();
    let members = shown["members"].as_array().expect("it is a list");
    let revoked: Vec<_> = members.iter().map(|member| (&member["name"], member["revoked"].as_bool())).collect();
    let expected = [("host2", true), ("host3", false), ("host1", false)].map(|(name, revoked)| (Value::from(name), Some(revoked)));
    assert!(expected.iter().all(|(name, state)| revoked.contains(&(name, *state))), "{revoked:?}");
    assert_eq!(shown["revoked"].as_array().map(Vec::len), Some(1));
    assert!(home.cluster(&["show"]).fails(0, &[]).stdout.contains("; revoked\n"));
    let fingerprint = members.iter().find(|member| member["name"] == "host3").and_then(|member| member["fingerprint"].as_str());
    home.cluster(&["revoke", &fingerprint.expect("it is there")[..8]]).fails(0, &["Revoked host3 ("]);
}

#[test]
fn a_folder_that_others_can_read_is_refused() {
    let home = Home::with_cluster();
    let open = |file: &str, mode| fs::set_permissions(home.path.join(file), fs::Permissions::from_mode(mode)).expect("it is ours");
    open("authority.key", 0o644);
    home.cluster(&["invite", "--address", "host1"]).fails(1, &["is not this user's alone", "hint: chmod 0600 ", "authority.key"]);
    open("authority.key", 0o600);
    open("", 0o755);
    home.cluster(&["show"]).fails(1, &["is not this user's alone", "hint: chmod 0700 "]);
}

#[test]
fn a_damaged_folder_is_named() {
    let home = Home::with_cluster();
    let damage = |file: &str| fs::write(Path::new(&home.path).join(file), "hello").expect("it is ours");
    damage("revoked.crl");
    home.cluster(&["show"]).fails(1, &["the folder of the cluster is damaged", "it is no revocation list"]);
    damage("node.pem");
    home.cluster(&["show"]).fails(1, &["node.pem` is damaged", "there is no certificate in it"]);
}

#[test]
fn another_machine_cannot_invite() {
    let home = Home::with_cluster();
    fs::remove_file(home.path.join("authority.key")).expect("it is there");
    home.cluster(&["invite"]).fails(1, &["the authority of this cluster is another machine", "hint: "]);
    assert_eq!(home.shown()["is_authority"], Value::Bool(false));
}
