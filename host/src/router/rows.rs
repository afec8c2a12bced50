//! Lists of places and nodes, on the wire and off it.

use std::time::Duration;

use placehost_proto::frame::{PeerRow, PlaceRow};

use crate::node::PeerInfo;
use crate::place::{Activity, PlaceInfo};

pub(super) fn place_row(info: PlaceInfo) -> PlaceRow {
    PlaceRow {
        id: info.id,
        name: info.name,
        module: info.module,
        start: info.start,
        running: info.activity == Activity::Running,
        label: info.label,
        age: u64::try_from(info.age.as_millis()).unwrap_or(u64::MAX),
        memory: info.memory,
        received: info.got,
        sent: info.put,
        mailbox: info.pending as u64,
    }
}

pub(super) fn place_info(row: PlaceRow) -> PlaceInfo {
    PlaceInfo {
        id: row.id,
        name: row.name,
        module: row.module,
        start: row.start,
        activity: if row.running { Activity::Running } else { Activity::Waiting },
        label: row.label,
        age: Duration::from_millis(row.age),
        memory: row.memory,
        put: row.sent,
        got: row.received,
        pending: usize::try_from(row.mailbox).unwrap_or(usize::MAX),
    }
}

pub(super) fn peer_row(info: PeerInfo) -> PeerRow {
    let PeerInfo { id, name, address, dialled_us, links, places, round_trip } = info;
    PeerRow { id, name, address, dialled_us, links, places, round_trip: u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX) }
}

pub(super) fn peer_info(row: PeerRow) -> PeerInfo {
    let PeerRow { id, name, address, dialled_us, links, places, round_trip } = row;
    PeerInfo { id, name, address, dialled_us, links, places, round_trip: Duration::from_micros(round_trip) }
}
