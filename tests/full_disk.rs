//! A disk that is full under what a node keeps of the modules that others ship: a small file system that the test mounts. Skipped, with
//! the reason, where the machine forbids that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{GREETED, guest};
use crate::lab::{Lab, Node};
use crate::machines::skip;

/// A file system of some size.
pub(crate) struct Disk {
    folder: TempDir,
}

impl Disk {
    /// None, which is said, where this machine forbids it.
    pub(crate) fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("there is room");
        let options = format!("size={size},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { folder }),
            Ok(output) => skip(&format!("no disk of its own: {}", String::from_utf8_lossy(&output.stderr).trim())),
            Err(error) => skip(&format!("no disk of its own: `mount`: {error}")),
        }
    }

    pub(crate) fn path(&self) -> &str {
        self.folder.path().to_str().expect("its path is text")
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }

    /// Leaves so many bytes free, to the page.
    fn fill_but(&self, free: u64) {
        // There are statistics of the file system, but the kernel's answer to one byte too many is surer.
        let mut size = 0;
        while fs::write(self.ballast(), vec![7; size + 65_536]).is_ok() {
            size += 65_536;
        }
        let size = (size as u64).checked_sub(free).expect("the disk is larger");
        fs::write(self.ballast(), vec![7; size as usize]).expect("it had room for more");
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).expect("it is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What still uses it keeps it without its place, until it ends.
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|file| file.expect("it can be read").path()).collect()
}

#[test]
fn where_a_disk_is_full_a_module_is_refused_and_nothing_is_kept_by_half() {
    let Some(disk) = Disk::new("8m") else { return };
    let lab = Lab::new();
    let node = Node::start(lab.placehost(&["node", "--listen", "127.0.0.1:0"]).env("PLACEHOST_CACHE", disk.path()));
    let run = || lab.run("hello_world", "main", &node.address, &[]);
    let size = fs::metadata(guest("hello_world")).expect("it is there").len();
    for free in [0, size / 2] {
        disk.fill_but(free);
        let ended = run().fails(125, &["error: ", "cannot keep the module", "No space left on device"]);
        assert_eq!(ended.stdout, "");
        assert_eq!(files(&disk.folder.path().join("modules")), Vec::<PathBuf>::new());
        lab.has_places(&node, 0);
        disk.free();
    }
    let hello = [GREETED, &["main received: Hello World"]];
    // Room for the module, and not for what it is compiled to: then that is not kept.
    disk.fill_but(size + 8192);
    run().prints_of_each(&hello);
    assert_eq!(files(&disk.folder.path().join("modules")).len(), 1);
    disk.free();
    run().prints_of_each(&hello);
    node.signal("-TERM");
    let ended = node.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot keep a module that was shipped: No space left on device"), "{}", ended.stderr);
    // What it keeps is whole: the next life of the node runs it.
    let node = Node::start(lab.placehost(&["node", "--listen", "127.0.0.1:0"]).env("PLACEHOST_CACHE", disk.path()));
    lab.run("hello_world", "main", &node.address, &[]).prints_of_each(&hello);
}
