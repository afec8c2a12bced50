//! The collective operations on any values that serde can write, as CBOR.
//!
//! They are the ones on elements with blocks of any length, and cross between nodes as those do. Values are combined in the order of the
//! ranks, by functions that need be associative only: up a binomial tree, on each node first, and then among the leaders. Where the ranks
//! of a node are not consecutive, as after a split by other keys, there is nothing that a node could combine by itself: then all values
//! are gathered, and combined by the root, or by rank 0 where all get the result; and a scan goes as if there were one node.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::broadcast::{any_length, of_any_length};
use super::{Call, Team, Terms, VARYING, allgather, alltoall, gather, scatter};
use crate::communicator::Communicator;
use crate::datatype;
use crate::error::Error;
use crate::header::Kind;
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
            of_any_length(&call, root, &mut write(&value)?)?;
            call.end()?;
            return Ok(value);
        }
        let mut bytes = Vec::new();
        of_any_length(&call, root, &mut bytes)?;
        call.end()?;
        read(&bytes)
    }

    /// Collects the values of all ranks at the root, in the order of the ranks.
    ///
    /// # Errors
    /// As [`Self::gather`]; [`Error::Value`].
    pub fn gather_value<V: Serialize + DeserializeOwned>(&self, value: V, root: usize) -> Result<Option<Vec<V>>, Error> {
        let call = Call::begin(self, &terms(Kind::Gather, root))?;
        let values = gathered(&call, value, root)?;
        call.end()?;
        values.map(Values::in_order).transpose()
    }

    /// Collects the values of all ranks at all ranks, in the order of the ranks.
    ///
    /// # Errors
    /// As [`Self::allgather`]; [`Error::Value`].
    pub fn allgather_value<V: Serialize + DeserializeOwned>(&self, value: V) -> Result<Vec<V>, Error> {
        let call = Call::begin(self, &terms(Kind::Allgather, 0))?;
        let written = write(&value)?;
        let mut values = Values::with(&call, value);
        allgather::varying(&call, &written, |rank, block| values.put(rank, block))?;
        call.end()?;
        values.in_order()
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
        let call = Call::begin(self, &terms(Kind::Alltoall, 0))?;
        let values = exchanged(&call, "alltoall_value", values)?;
        call.end()?;
        values.in_order()
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
        let result = combined(&call, value, combine, root)?;
        call.end()?;
        Ok(result)
    }

    /// Combines the values of all ranks in their order, and gives all the result.
    ///
    /// # Errors
    /// As [`Self::allreduce`]; [`Error::Value`].
    pub fn allreduce_value<V: Serialize + DeserializeOwned>(&self, value: V, combine: impl FnMut(V, V) -> V) -> Result<V, Error> {
        let call = Call::begin(self, &terms(Kind::Allreduce, 0))?;
        let result = combined(&call, value, combine, 0)?;
        let mut bytes = result.as_ref().map(write).transpose()?.unwrap_or_default();
        of_any_length(&call, 0, &mut bytes)?;
        call.end()?;
        result.map_or_else(|| read(&bytes), Ok)
    }

    /// Combines the n-th values of all ranks in the order of the ranks, and gives rank n the result.
    ///
    /// # Errors
    /// As [`Self::reduce_scatter_block`]; [`Error::Invalid`] where there is not one value for each rank; [`Error::Value`].
    pub fn reduce_scatter_value<V: Serialize + DeserializeOwned>(
        &self,
        values: Vec<V>,
        combine: impl FnMut(V, V) -> V,
    ) -> Result<V, Error> {
        let call = Call::begin(self, &terms(Kind::ReduceScatter, 0))?;
        let values = exchanged(&call, "reduce_scatter_value", values)?;
        call.end()?;
        Ok(values.in_order()?.into_iter().reduce(combine).expect("a communicator has a rank"))
    }

    /// Combines the values of this rank and all before it in their order.
    ///
    /// # Errors
    /// As [`Self::scan`]; [`Error::Value`].
    pub fn scan_value<V: Serialize + DeserializeOwned>(&self, value: V, mut combine: impl FnMut(V, V) -> V) -> Result<V, Error> {
        let call = Call::begin(self, &terms(Kind::Scan, 0))?;
        let sum = if call.has_leaders_in_order() {
            let neighbours = call.neighbours();
            let sum = rounds(&neighbours, value, &mut combine, |_, _| Ok(()))?;
            match before_this_node(&call, &neighbours, &sum, &mut combine)? {
                Some(before) => combine(before, sum),
                None => sum,
            }
        } else {
            rounds(&call.everybody(), value, &mut combine, |_, _| Ok(()))?
        };
        call.end()?;
        Ok(sum)
    }

    /// Combines the values of all ranks before this one in their order; rank 0 has none before it, and gets nothing.
    ///
    /// # Errors
    /// As [`Self::exscan`]; [`Error::Value`].
    pub fn exscan_value<V: Serialize + DeserializeOwned>(&self, value: V, mut combine: impl FnMut(V, V) -> V) -> Result<Option<V>, Error> {
        let call = Call::begin(self, &terms(Kind::Exscan, 0))?;
        let before = if call.has_leaders_in_order() {
            let neighbours = call.neighbours();
            let (here, sum) = exclusive(&neighbours, value, &mut combine)?;
            match (before_this_node(&call, &neighbours, &sum, &mut combine)?, here) {
                (Some(there), Some(here)) => Some(combine(there, here)),
                (there, here) => there.or(here),
            }
        } else {
            exclusive(&call.everybody(), value, &mut combine)?.0
        };
        call.end()?;
        Ok(before)
    }
}

/// A value of each rank, as far as they have come. What cannot be read is told when all have, so that no message is left behind.
struct Values<V>(Vec<Option<Result<V, Error>>>);

impl<V: DeserializeOwned> Values<V> {
    /// This rank's own.
    fn with(call: &Call<'_>, mine: V) -> Self {
        let mut values: Vec<_> = std::iter::repeat_with(|| None).take(call.communicator.size()).collect();
        values[call.communicator.rank()] = Some(Ok(mine));
        Self(values)
    }

    fn put(&mut self, rank: usize, block: &[u8]) {
        self.0[rank] = Some(read(block));
    }

    fn in_order(self) -> Result<Vec<V>, Error> {
        self.0.into_iter().map(|value| value.expect("each rank has given one")).collect()
    }
}

/// The values of all ranks at the root; nothing elsewhere.
fn gathered<V: Serialize + DeserializeOwned>(call: &Call<'_>, value: V, root: usize) -> Result<Option<Values<V>>, Error> {
    let mine = call.communicator.rank() == root;
    let written = if mine { Vec::new() } else { write(&value)? };
    let mut values = Values::with(call, value);
    gather::varying(call, &written, root, |rank, block| values.put(rank, block))?;
    Ok(mine.then_some(values))
}

/// The value of each rank for this one, where this one has some for all.
fn exchanged<V: Serialize + DeserializeOwned>(call: &Call<'_>, what: &str, values: Vec<V>) -> Result<Values<V>, Error> {
    let (me, size) = (call.communicator.rank(), call.communicator.size());
    if values.len() != size {
        return Err(Error::Invalid(format!("{what} of {} values between {size} ranks", values.len())));
    }
    let written = values.iter().map(write).collect::<Result<Vec<_>, _>>()?;
    let mut came = Values::with(call, values.into_iter().nth(me).expect("there is one for each rank"));
    alltoall::varying(call, &written.iter().map(Vec::as_slice).collect::<Vec<_>>(), |rank, block| came.put(rank, block))?;
    Ok(came)
}

/// Combines the values of all ranks in their order, at the root.
fn combined<V: Serialize + DeserializeOwned>(
    call: &Call<'_>,
    value: V,
    mut combine: impl FnMut(V, V) -> V,
    root: usize,
) -> Result<Option<V>, Error> {
    if call.has_leaders() && !call.has_leaders_in_order() {
        let Some(values) = gathered(call, value, root)? else { return Ok(None) };
        return Ok(values.in_order()?.into_iter().reduce(combine));
    }
    let mut result = if call.has_leaders() {
        match (up(&call.neighbours(), value, &mut combine)?, call.leaders()) {
            (Some(of_node), Some(leaders)) => up(&leaders, of_node, combine)?,
            _ => None,
        }
    } else {
        up(&call.everybody(), value, combine)?
    };
    if root != 0 {
        if let Some(value) = result.take() {
            call.send(root, &write(&value)?)?;
        }
        if call.communicator.rank() == root {
            result = Some(read(call.recv(0)?.body())?);
        }
    }
    Ok(result)
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

/// What a rank has and those before it, combined. `heard` is given what comes of those before, the nearest first.
fn rounds<V: Serialize + DeserializeOwned>(
    team: &Team<'_>,
    value: V,
    combine: &mut impl FnMut(V, V) -> V,
    mut heard: impl FnMut(&mut dyn FnMut(V, V) -> V, &[u8]) -> Result<(), Error>,
) -> Result<V, Error> {
    let mut sum = value;
    let mut distance = 1;
    while distance < team.size {
        if team.me + distance < team.size {
            team.send(team.me + distance, &write(&sum)?)?;
        }
        if team.me >= distance {
            let envelope = team.recv(team.me - distance)?;
            heard(combine, envelope.body())?;
            sum = combine(read(envelope.body())?, sum);
        }
        distance *= 2;
    }
    Ok(sum)
}

/// What those before a rank have, and that with its own.
fn exclusive<V: Serialize + DeserializeOwned>(
    team: &Team<'_>,
    value: V,
    combine: &mut impl FnMut(V, V) -> V,
) -> Result<(Option<V>, V), Error> {
    let mut before: Option<V> = None;
    let sum = rounds(team, value, combine, |combine, more| {
        let more = read(more)?;
        before = Some(match before.take() {
            Some(before) => combine(more, before),
            None => more,
        });
        Ok(())
    })?;
    Ok((before, sum))
}

/// What the ranks of the nodes before this one have; nothing on the first. `sum` is what the ranks of this node have up to this one: that
/// of the last is the node's.
fn before_this_node<V: Serialize + DeserializeOwned>(
    call: &Call<'_>,
    node: &Team<'_>,
    sum: &V,
    combine: &mut impl FnMut(V, V) -> V,
) -> Result<Option<V>, Error> {
    let mut ranks = Vec::new();
    let mut bytes = Vec::new();
    if let Some(lasts) = call.lasts(&mut ranks) {
        let own = read(&write(sum)?)?;
        let before = exclusive(&lasts, own, combine)?.0;
        bytes = before.as_ref().map(write).transpose()?.unwrap_or_default();
    }
    if node.rank(0) == 0 {
        return Ok(None);
    }
    any_length(node, node.size - 1, &mut bytes)?;
    read(&bytes).map(Some)
}
