//! What a reduce task merges: pieces of runs, wherever they lie, and fewer runs of them where they are too many.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use crate::merge::{Merge, Source};
use crate::run::Writer;
use crate::store::Store;
use crate::wire::{Page, Piece, Raw};

/// The pieces of a run.
pub(crate) struct Pieces {
    pieces: VecDeque<Piece>,
    /// The file that was read last.
    file: Option<(String, File)>,
}

impl Pieces {
    pub(crate) fn new(pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self { pieces: pieces.into_iter().collect(), file: None }
    }

    /// What it takes in memory while it is read.
    fn weight(&self) -> u64 {
        self.pieces.iter().take(2).map(size).max().unwrap_or(0)
    }

    fn read(&mut self, path: String, offset: u64, len: u32) -> Result<Vec<u8>, String> {
        let wrong = |error: std::io::Error| format!("cannot read the run `{path}`: {error}");
        let mut file = match self.file.take() {
            Some((open, file)) if open == path => file,
            _ => File::open(&path).map_err(wrong)?,
        };
        let mut bytes = vec![0; len as usize];
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes)).map_err(wrong)?;
        self.file = Some((path, file));
        Ok(bytes)
    }
}

/// In bytes.
pub(crate) fn size(piece: &Piece) -> u64 {
    match piece {
        Piece::Bytes(bytes) => bytes.0.len() as u64,
        Piece::Blob(blob) => blob.len(),
        Piece::Disk { len, .. } => u64::from(*len),
    }
}

impl Source for Pieces {
    fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        match self.pieces.pop_front() {
            None => Ok(None),
            Some(Piece::Bytes(Raw(bytes))) => Ok(Some(bytes)),
            Some(Piece::Blob(blob)) => Ok(Some(blob.to_vec())),
            Some(Piece::Disk { path, offset, len }) => self.read(path, offset, len).map(Some),
        }
    }
}

/// Merges all of them, within so many bytes of memory. Where they need more, neighbours are first merged to longer runs, as often as need
/// be; so values stay in the order of the sources.
pub(crate) fn merge(mut sources: Vec<Pieces>, buffer: u64, store: &mut Store) -> Result<Merge, String> {
    while sources.len() > 2 && sources.iter().map(Pieces::weight).sum::<u64>() > buffer {
        let mut fewer = Vec::new();
        let mut rest = sources.into_iter().peekable();
        while rest.peek().is_some() {
            let (mut some, mut weight) = (Vec::new(), 0);
            while let Some(source) = rest.next_if(|source| some.len() < 2 || weight + source.weight() <= buffer) {
                weight += source.weight();
                some.push(source);
            }
            fewer.push(if some.len() == 1 { some.remove(0) } else { to_one(some, store)? });
        }
        sources = fewer;
    }
    Merge::new(sources.into_iter().map(|source| Box::new(source) as Box<dyn Source>))
}

fn to_one(sources: Vec<Pieces>, store: &mut Store) -> Result<Pieces, String> {
    let mut merge = Merge::new(sources.into_iter().map(|source| Box::new(source) as Box<dyn Source>))?;
    let mut keep = |page: &[u8]| store.keep(page);
    let mut writer = Writer::new(1, &mut keep);
    while let Some((key, value)) = merge.record() {
        writer.push(0, key, value)?;
        merge.advance()?;
    }
    let run = writer.finish()?;
    let pieces: Result<Vec<_>, String> = run.parts[0].iter().map(|block| piece(&run.pages, *block)).collect();
    Ok(Pieces::new(pieces?))
}

/// A block of pages that this node has, without a copy.
pub(crate) fn piece(pages: &[Page], block: crate::run::Block) -> Result<Piece, String> {
    match pages.get(block.page as usize) {
        Some(Page::Memory(blob)) => {
            blob.slice(block.offset.into(), block.len.into()).map(Piece::Blob).map_err(|error| format!("a run is broken: {error}"))
        }
        Some(Page::Disk { path, offset }) => {
            Ok(Piece::Disk { path: path.clone(), offset: offset + u64::from(block.offset), len: block.len })
        }
        None => Err("a run is broken".into()),
    }
}
