//! The photos' files on a simulated disk, which fails, fills up and loses
//! power. For tests, here and in other crates.

use std::fmt::{self, Display};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use hyper::body::Bytes;
use object_store::path::Path as Name;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
};

use crate::store::faulty::SimulatedDisk;
use crate::store::journal::disk::{Disk, DiskFile};

use super::files::{Files, PartFile};

/// Files on a simulated disk, by the path below a folder that is not there.
#[derive(Clone)]
pub struct SimulatedFiles {
    disk: SimulatedDisk,
    root: PathBuf,
}

impl SimulatedFiles {
    /// The disk as what is in a folder.
    #[must_use]
    pub fn new(disk: SimulatedDisk, root: &Path) -> Self {
        Self { disk, root: root.to_owned() }
    }

    fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }

    fn prefix(&self, folder: &Path) -> String {
        let name = self.name(folder);
        if name.is_empty() { name } else { format!("{name}/") }
    }

    fn open_file(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(&self.name(path))
    }

    fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open_file(path)?;
        let mut bytes = vec![0; usize::try_from(file.size()?).map_err(io::Error::other)?];
        file.read_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

impl Files for SimulatedFiles {
    fn waits(&self) -> bool {
        false
    }

    fn make_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let prefix = self.prefix(folder);
        let names = self.disk.list()?;
        let inside = names.iter().filter_map(|name| name.strip_prefix(&prefix));
        Ok(inside.filter(|name| !name.contains('/')).map(|name| folder.join(name)).collect())
    }

    fn length(&self, file: &Path) -> io::Result<u64> {
        self.open_file(file)?.size()
    }

    fn read(&self, file: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(io::Cursor::new(self.bytes(file)?)))
    }

    fn write(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        let name = self.name(file);
        let file = self.disk.open(&name).or_else(|_| self.disk.create(&name))?;
        file.truncate(0)?;
        file.write_at(bytes, 0)
    }

    fn open(&self, file: &Path, offset: u64) -> io::Result<Box<dyn PartFile>> {
        let file = self.open_file(file).or_else(|_| self.disk.create(&self.name(file)))?;
        file.truncate(offset)?;
        Ok(Box::new(Part { file, at: offset }))
    }

    fn sync(&self, file: &Path) -> io::Result<()> {
        self.open_file(file)?.sync()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.sync_names(&self.prefix(folder))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(&self.name(from), &self.name(to))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.link(&self.name(from), &self.name(to))
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.disk.remove(&self.name(file))
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    fn objects(&self, folder: &Path, durable: bool) -> object_store::Result<Arc<dyn ObjectStore>> {
        Ok(Arc::new(Objects { files: self.clone(), folder: folder.to_owned(), durable }))
    }
}

/// A file that is being written.
struct Part {
    file: Box<dyn DiskFile>,
    at: u64,
}

impl PartFile for Part {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

/// What `object_store` does in a local folder, step by step.
struct Objects {
    files: SimulatedFiles,
    folder: PathBuf,
    durable: bool,
}

type Done<'a, T> = BoxFuture<'a, object_store::Result<T>>;

fn generic(error: io::Error) -> object_store::Error {
    object_store::Error::Generic { store: "simulated", source: Box::new(error) }
}

fn not_there(name: &Name, error: io::Error) -> object_store::Error {
    if error.kind() == io::ErrorKind::NotFound {
        return object_store::Error::NotFound { path: name.to_string(), source: Box::new(error) };
    }
    generic(error)
}

fn not_here(operation: &str) -> object_store::Error {
    object_store::Error::NotImplemented {
        operation: operation.to_owned(),
        implementer: "simulated".to_owned(),
    }
}

impl Objects {
    fn path(&self, name: &Name) -> PathBuf {
        self.folder.join(name.as_ref())
    }

    /// Written beside its name, flushed, given the name, and that flushed.
    fn put(&self, name: &Name, payload: PutPayload, create: bool) -> object_store::Result<PutResult> {
        let path = self.path(name);
        let beside = path.with_extension("staged");
        let put = || {
            self.files.write(&beside, &Bytes::from(payload))?;
            if self.durable {
                self.files.sync(&beside)?;
            }
            if create {
                self.files.link(&beside, &path)?;
                self.files.remove(&beside)?;
            } else {
                self.files.rename(&beside, &path)?;
            }
            match path.parent() {
                Some(folder) if self.durable => self.files.sync_folder(folder),
                _ => Ok(()),
            }
        };
        put().map_err(|error: io::Error| {
            // As far as the disk still does anything.
            let _ = self.files.remove(&beside);
            if error.kind() == io::ErrorKind::AlreadyExists {
                return object_store::Error::AlreadyExists {
                    path: name.to_string(),
                    source: Box::new(error),
                };
            }
            generic(error)
        })?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    fn get(&self, name: &Name, options: &GetOptions) -> object_store::Result<GetResult> {
        let bytes = self.files.bytes(&self.path(name)).map_err(|error| not_there(name, error))?;
        let size = bytes.len() as u64;
        let range = match &options.range {
            Some(range) => range.as_range(size).map_err(|error| generic(io::Error::other(error)))?,
            None => 0..size,
        };
        let wanted = Bytes::from(bytes).slice(index(range.start)..index(range.end));
        let parts = stream::iter([Ok(wanted)]).boxed();
        let meta = ObjectMeta {
            location: name.clone(),
            last_modified: Default::default(),
            size,
            e_tag: None,
            version: None,
        };
        let payload = GetResultPayload::Stream(parts);
        Ok(GetResult { payload, meta, range, attributes: Default::default(), extensions: Default::default() })
    }

    fn rename(&self, from: &Name, to: &Name) -> object_store::Result<()> {
        self.files.rename(&self.path(from), &self.path(to)).map_err(|error| not_there(from, error))?;
        for folder in [from, to].map(|name| self.path(name).parent().map(Path::to_owned)).iter().flatten() {
            self.files.sync_folder(folder).map_err(generic)?;
        }
        Ok(())
    }
}

fn index(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

impl Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated")
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated")
    }
}

// The trait is written with a macro; these are the signatures that it makes.
impl ObjectStore for Objects {
    fn put_opts<'a, 'b, 'c>(
        &'a self,
        name: &'b Name,
        payload: PutPayload,
        options: PutOptions,
    ) -> Done<'c, PutResult>
    where
        'a: 'c,
        'b: 'c,
    {
        let put = self.put(name, payload, matches!(options.mode, PutMode::Create));
        Box::pin(std::future::ready(put))
    }

    fn put_multipart_opts<'a, 'b, 'c>(
        &'a self,
        _: &'b Name,
        _: PutMultipartOptions,
    ) -> Done<'c, Box<dyn MultipartUpload>>
    where
        'a: 'c,
        'b: 'c,
    {
        Box::pin(std::future::ready(Err(not_here("put_multipart"))))
    }

    fn get_opts<'a, 'b, 'c>(&'a self, name: &'b Name, options: GetOptions) -> Done<'c, GetResult>
    where
        'a: 'c,
        'b: 'c,
    {
        Box::pin(std::future::ready(self.get(name, &options)))
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, object_store::Result<Name>>,
    ) -> BoxStream<'static, object_store::Result<Name>> {
        stream::iter([Err(not_here("delete"))]).boxed()
    }

    fn list(&self, _: Option<&Name>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        stream::iter([Err(not_here("list"))]).boxed()
    }

    fn list_with_delimiter<'a, 'b, 'c>(&'a self, _: Option<&'b Name>) -> Done<'c, ListResult>
    where
        'a: 'c,
        'b: 'c,
    {
        Box::pin(std::future::ready(Err(not_here("list"))))
    }

    fn copy_opts<'a, 'b, 'd, 'c>(&'a self, _: &'b Name, _: &'d Name, _: CopyOptions) -> Done<'c, ()>
    where
        'a: 'c,
        'b: 'c,
        'd: 'c,
    {
        Box::pin(std::future::ready(Err(not_here("copy"))))
    }

    fn rename_opts<'a, 'b, 'd, 'c>(&'a self, from: &'b Name, to: &'d Name, _: RenameOptions) -> Done<'c, ()>
    where
        'a: 'c,
        'b: 'c,
        'd: 'c,
    {
        Box::pin(std::future::ready(self.rename(from, to)))
    }
}
