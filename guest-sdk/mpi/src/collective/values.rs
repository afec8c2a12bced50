//! The collective operations on any values that serde can write, as CBOR.
//!
//! They are the ones on elements with blocks of any length. Values are combined in the order of the ranks, by functions that need be
//! associative only.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Call, Team, Terms, VARYING, allgather, alltoall, gather, scatter};
use crate::communicator::Communicator;
use crate::datatype;
use crate::error::Error;
use crate::header::Kind;
use crate::matching::Envelope;
use crate::point::{read, write};
use crate::tree::Binomial;

/// A call with values.
fn terms(kind: Kind, root: usize) -> Terms {
    Terms { kind, datatype: datatype::VALUE, count: 1, root, op: VARYING, alike: false }
}

impl Communicator {
    /// Sends the value of the root to all ranks. The others give none.
    ///
    /// # Errors
    /// As [`Self::broadcast`]; [`Error::Value`]; [`Error::Invalid`] where the root gives none.
    pub fn broadcast_value<V: Serialize + DeserializeOwned>(&self, value: Option<V>, root: usize) -> Result<V, Error> {
        let call = Call::begin(self, &terms(Kind::Broadcast, root))?;
        if self.rank() == root {
            let value = value.ok_or_else(|| Error::Invalid(format!("broadcast_value: rank {root} is the root and gives nothing")))?;
            down(&call, root, Some(&write(&value)?))?;
            call.end()?;
            return Ok(value);
        }
        let bytes = down(&call, root, None)?;
        call.end()?;
        read(&bytes)
    }

    /// Collects the values of all ranks at the root, in the order of the ranks.
    ///
    /// # Errors
    /// As [`Self::gather`]; [`Error::Value`].
    pub fn gather_value<V: Serialize + DeserializeOwned>(&self, value: V, root: usize) -> Result<Option<Vec<V>>, Error> {
        let call = Call::begin(self, &terms(Kind::Gather, root))?;
        let blocks = gather::varying(&call, &write(&value)?, root)?;
        call.end()?;
        blocks.map(|blocks| in_order(blocks, value)).transpose()
    }

    /// Collects the values of all ranks at all ranks, in the order of the ranks.
    ///
    /// # Errors
    /// As [`Self::allgather`]; [`Error::Value`].
    pub fn allgather_value<V: Serialize + DeserializeOwned>(&self, value: V) -> Result<Vec<V>, Error> {
        let call = Call::begin(self, &terms(Kind::Allgather, 0))?;
        let blocks = allgather::varying(&call, &write(&value)?)?;
        call.end()?;
        in_order(blocks, value)
    }

    /// Deals the values of the root out, one to each rank. The others give none.
    ///
    /// # Errors
    /// As [`Self::scatterv`]; [`Error::Value`].
    pub fn scatter_value<V: Serialize + DeserializeOwned>(&self, values: Option<&[V]>, root: usize) -> Result<V, Error> {
        let call = Call::begin(self, &terms(Kind::Scatter, root))?;
        let values = self.given("scatter_value", values, root)?;
        let written = values.map(|values| values.iter().map(write).collect::<Result<Vec<_>, _>>()).transpose()?;
        let blocks = written.as_ref().map(|blocks| blocks.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let mine = scatter::varying(&call, blocks.as_deref(), root)?;
        call.end()?;
        read(&mine)
    }

    /// Exchanges values: the n-th value of a rank goes to rank n, and what comes stands in the order of the ranks.
    ///
    /// # Errors
    /// As [`Self::alltoallv`]; [`Error::Value`].
    pub fn alltoall_value<V: Serialize + DeserializeOwned>(&self, values: Vec<V>) -> Result<Vec<V>, Error> {
        if values.len() != self.size() {
            return Err(Error::Invalid(format!("alltoall_value of {} values between {} ranks", values.len(), self.size())));
        }
        let call = Call::begin(self, &terms(Kind::Alltoall, 0))?;
        let written = values.iter().map(write).collect::<Result<Vec<_>, _>>()?;
        let blocks = alltoall::pairwise(&call.everybody(), &written.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        call.end()?;
        let mine = values.into_iter().nth(self.rank()).expect("there is one for each rank");
        in_order(blocks, mine)
    }

    /// Combines the values of all ranks in their order; the root gets the result, the others nothing.
    ///
    /// # Errors
    /// As [`Self::reduce`]; [`Error::Value`].
    pub fn reduce_value<V: Serialize + DeserializeOwned>(
        &self,
        value: V,
        combine: impl FnMut(V, V) -> V,
        root: usize,
    ) -> Result<Option<V>, Error> {
        let call = Call::begin(self, &terms(Kind::Reduce, root))?;
        let mut result = up(&call.everybody(), value, combine)?;
        if root != 0 {
            if let Some(value) = result.take() {
                call.send(root, &write(&value)?)?;
            }
            if self.rank() == root {
                result = Some(read(call.recv(0)?.body())?);
            }
        }
        call.end()?;
        Ok(result)
    }

    /// Combines the values of all ranks in their order, and gives all the result.
    ///
    /// # Errors
    /// As [`Self::allreduce`]; [`Error::Value`].
    pub fn allreduce_value<V: Serialize + DeserializeOwned>(&self, value: V, combine: impl FnMut(V, V) -> V) -> Result<V, Error> {
        let call = Call::begin(self, &terms(Kind::Allreduce, 0))?;
        let result = up(&call.everybody(), value, combine)?;
        let written = result.as_ref().map(write).transpose()?;
        let bytes = down(&call, 0, written.as_deref())?;
        call.end()?;
        match result {
            Some(result) => Ok(result),
            None => read(&bytes),
        }
    }

    /// Combines the values of this rank and all before it in their order.
    ///
    /// # Errors
    /// As [`Self::scan`]; [`Error::Value`].
    pub fn scan_value<V: Serialize + DeserializeOwned>(&self, value: V, mut combine: impl FnMut(V, V) -> V) -> Result<V, Error> {
        let call = Call::begin(self, &terms(Kind::Scan, 0))?;
        let team = call.everybody();
        let mut sum = value;
        let mut distance = 1;
        while distance < team.size {
            if team.me + distance < team.size {
                team.send(team.me + distance, &write(&sum)?)?;
            }
            if team.me >= distance {
                sum = combine(read(team.recv(team.me - distance)?.body())?, sum);
            }
            distance *= 2;
        }
        call.end()?;
        Ok(sum)
    }
}

/// The values of all ranks, where this rank's own was left out.
fn in_order<V: DeserializeOwned>(blocks: Vec<Option<Envelope>>, mine: V) -> Result<Vec<V>, Error> {
    let mut mine = Some(mine);
    let value = |block: Option<Envelope>| match block {
        Some(envelope) => read(envelope.body()),
        None => Ok(mine.take().expect("one block was left out")),
    };
    blocks.into_iter().map(value).collect()
}

/// Combines up a binomial tree; the first of the team has the result.
fn up<V: Serialize + DeserializeOwned>(team: &Team<'_>, value: V, mut combine: impl FnMut(V, V) -> V) -> Result<Option<V>, Error> {
    let tree = Binomial { rank: team.me, size: team.size };
    let mut sum = value;
    for child in tree.children() {
        sum = combine(sum, read(team.recv(child)?.body())?);
    }
    match tree.parent() {
        Some(parent) => team.send(parent, &write(&sum)?).map(|()| None),
        None => Ok(Some(sum)),
    }
}

/// Bytes of any length from one rank to all, over each node's leader.
fn down(call: &Call<'_>, root: usize, bytes: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    // Their length goes before them: every rank needs room first.
    let mut length = [bytes.map_or(0, <[u8]>::len) as u64];
    super::broadcast::everywhere(call, root, bytemuck::cast_slice_mut(&mut length))?;
    let mut room = bytes.map_or_else(|| vec![0; length[0] as usize], <[u8]>::to_vec);
    super::broadcast::everywhere(call, root, &mut room)?;
    Ok(room)
}
