//! Threads of runs.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that nothing but runs works on: reading and writing a hundred thousand people takes seconds of a
/// processor, and who opens a page meanwhile finds the threads that answer pages free.
pub struct Apart(Option<Runtime>);

impl Apart {
    /// One thread for every four processors, at least one.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new() -> io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Builder::new_multi_thread()
            .worker_threads(processors.div_ceil(4))
            .thread_name("run")
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
    }

    /// What spawns on them.
    ///
    /// # Panics
    /// Never: they end with this.
    #[must_use]
    pub fn handle(&self) -> Handle {
        let runtime = self.0.as_ref().expect("taken when this is dropped");
        runtime.handle().clone()
    }
}

impl Drop for Apart {
    /// Without waiting, which only a thread may that drives no tasks itself.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
