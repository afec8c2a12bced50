//! `objects`: object stores, as far as the place was granted them.

use wasmtime::component::Resource;

use super::types::chain;
use crate::bindings::places::core::objects::{self, Error, Host, HostListing, HostReader, HostStore, HostWriter};
use crate::objects::{Listing, Object, ObjectError, Reader, Store, Writer};
use crate::place::State;

type Fallible<T> = wasmtime::Result<Result<T, Error>>;

/// The most that one call of `read` brings, in bytes, whatever the guest asks for: it is copied.
const MOST_BYTES: usize = 1 << 20;
/// The most that one call of `next` brings.
const MOST_OBJECTS: usize = 1_000;

impl Host for State {}

impl HostStore for State {
    async fn open(&mut self, url: String) -> Fallible<Resource<Store>> {
        let store = self.host.stores.open(&url, &self.config.grants.objects).await;
        self.made(store)
    }

    async fn list(&mut self, store: Resource<Store>, prefix: String) -> Fallible<Resource<Listing>> {
        let listing = self.table.get(&store)?.list(&prefix).await;
        self.made(listing)
    }

    async fn head(&mut self, store: Resource<Store>, key: String) -> Fallible<objects::Object> {
        let found = self.table.get(&store)?.head(&key).await;
        Ok(found.map(Into::into).map_err(Into::into))
    }

    async fn read(&mut self, store: Resource<Store>, key: String, offset: u64, len: Option<u64>) -> Fallible<Resource<Reader>> {
        let reader = self.table.get(&store)?.read(&key, offset, len, &self.owner.account).await;
        self.made(reader)
    }

    async fn write(&mut self, store: Resource<Store>, key: String) -> Fallible<Resource<Writer>> {
        let writer = self.table.get(&store)?.write(&key, &self.owner.account).await;
        self.made(writer)
    }

    async fn delete(&mut self, store: Resource<Store>, key: String) -> Fallible<()> {
        Ok(self.table.get(&store)?.delete(&key).await.map_err(Into::into))
    }

    fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

impl HostListing for State {
    async fn next(&mut self, listing: Resource<Listing>, max: u32) -> Fallible<Vec<objects::Object>> {
        let found = self.table.get_mut(&listing)?.next((max as usize).clamp(1, MOST_OBJECTS)).await;
        Ok(found.map(|found| found.into_iter().map(Into::into).collect()).map_err(Into::into))
    }

    fn drop(&mut self, listing: Resource<Listing>) -> wasmtime::Result<()> {
        self.table.delete(listing)?;
        Ok(())
    }
}

impl HostReader for State {
    fn size(&mut self, reader: Resource<Reader>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&reader)?.size())
    }

    async fn read(&mut self, reader: Resource<Reader>, max: u32) -> Fallible<Vec<u8>> {
        let read = self.table.get_mut(&reader)?.read((max as usize).clamp(1, MOST_BYTES)).await;
        Ok(read.map(|bytes| bytes.to_vec()).map_err(Into::into))
    }

    fn drop(&mut self, reader: Resource<Reader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}

impl HostWriter for State {
    async fn write(&mut self, writer: Resource<Writer>, bytes: Vec<u8>) -> Fallible<()> {
        Ok(self.table.get_mut(&writer)?.write(&bytes).await.map_err(Into::into))
    }

    async fn finish(&mut self, writer: Resource<Writer>) -> Fallible<()> {
        Ok(self.table.get_mut(&writer)?.finish().await.map_err(Into::into))
    }

    fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}

impl State {
    /// A resource for the guest, or why there is none.
    fn made<T: Send + 'static>(&mut self, made: Result<T, ObjectError>) -> Fallible<Resource<T>> {
        match made {
            Ok(made) => Ok(Ok(self.table.push(made)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }
}

impl From<Object> for objects::Object {
    fn from(Object { key, size, modified }: Object) -> Self {
        Self { key, size, modified }
    }
}

impl From<ObjectError> for Error {
    fn from(error: ObjectError) -> Self {
        let text = chain(&error);
        match error {
            ObjectError::Url { .. } | ObjectError::Changed(_) | ObjectError::Finished(_) => Self::Invalid(text),
            ObjectError::NotGranted(_)
            | ObjectError::ReadOnly(_)
            | ObjectError::Outside(_)
            | ObjectError::Refused(..)
            | ObjectError::NoCredentials(..) => Self::Denied(text),
            ObjectError::NotFound(_) | ObjectError::NoBucket(_) => Self::NotFound(text),
            ObjectError::Full(..) | ObjectError::OverBudget(_) => Self::Limit(text),
            ObjectError::Unreachable(..) => Self::Unreachable(text),
        }
    }
}
