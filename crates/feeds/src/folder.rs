//! A folder that others write into, waited for without looking again and again.
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};

const BYTES: usize = 4096;

/// The kernel's notice of writes to a folder's files, and of files that appear in it (inotify): its descriptor can be read as
/// soon as there is one, so that a loop waits for it beside its sockets.
pub struct FolderWatch {
    inotify: OwnedFd,
}

impl FolderWatch {
    /// A watch of an existing folder. Fails where the folder or the kernel's notice cannot be had.
    pub fn new(path: &Path) -> io::Result<Self> {
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let events =
            WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        add_watch(
            &inotify,
            path,
            events | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF,
        )?;
        Ok(Self { inotify })
    }

    /// The descriptor to wait for; it stays this watch's own.
    pub fn fd(&self) -> RawFd {
        self.inotify.as_raw_fd()
    }

    /// Takes all notices that there are; false where the folder itself is gone, and another watch is needed.
    pub fn take(&self) -> io::Result<bool> {
        let mut room = [MaybeUninit::uninit(); BYTES];
        let mut reader = Reader::new(&self.inotify, &mut room);
        let gone = ReadFlags::IGNORED | ReadFlags::MOVE_SELF | ReadFlags::DELETE_SELF;
        let mut stays = true;
        loop {
            match reader.next() {
                Ok(event) => stays &= !event.events().intersects(gone),
                Err(error) if error == rustix::io::Errno::AGAIN => return Ok(stays),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::fs::{File, create_dir_all, remove_dir_all, write};
    use std::io::Write;

    fn waits(watch: &FolderWatch) -> bool {
        let mut fds = [PollFd::new(&watch.inotify, PollFlags::IN)];
        let now = Timespec::default();
        poll(&mut fds, Some(&now)).unwrap() == 0
    }

    #[test]
    fn writes_and_new_files_are_noticed_and_taken_once() {
        let folder = std::env::temp_dir().join(format!("folder-watch-{}", std::process::id()));
        create_dir_all(&folder).unwrap();
        let watch = FolderWatch::new(&folder).unwrap();
        assert!(waits(&watch) && watch.take().unwrap());
        let mut file = File::create(folder.join("a")).unwrap();
        assert!(!waits(&watch) && watch.take().unwrap() && waits(&watch));
        file.write_all(b"more").unwrap();
        assert!(!waits(&watch) && watch.take().unwrap() && waits(&watch));
        drop(file); // an open file keeps the kernel from saying that its folder is gone
        remove_dir_all(&folder).unwrap();
        assert!(!waits(&watch) && !watch.take().unwrap());
    }

    #[test]
    fn what_is_no_folder_cannot_be_watched() {
        let path = std::env::temp_dir().join(format!("no-folder-{}", std::process::id()));
        assert!(FolderWatch::new(&path).is_err());
        write(&path, "a file").unwrap();
        assert!(FolderWatch::new(&path).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
