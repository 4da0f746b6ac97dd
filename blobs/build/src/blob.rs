//! The builder: what a blob consists of, and the order of the work.

use std::env;
use std::path::{Path, PathBuf};

use pie_blob_image::{Abs32, Image};

use crate::context::{self, Context, Said};
use crate::directives::{Directives, print_error};
use crate::{Error, compile, link, symbols, verify};

/// A blob to be built. See the [crate's documentation](crate) for what it may consist of.
///
/// ```no_run
/// // build.rs
/// pie_blob_build::Blob::new("probe")
///     .source("blob/probe.c")
///     .source("blob/entry.S")
///     .include("include")
///     .define("LEVEL", "2")
///     .build();
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is built until `build` or `try_build`"]
pub struct Blob {
    name: String,
    said: Said,
    pub(crate) packages: Vec<PathBuf>,
    pub(crate) features: Vec<String>,
    pub(crate) default_features: bool,
    pub(crate) sources: Vec<PathBuf>,
    pub(crate) includes: Vec<PathBuf>,
    pub(crate) defines: Vec<(String, Option<String>)>,
    exports: Vec<String>,
    pub(crate) imports: Vec<String>,
    pub(crate) stack: Option<u64>,
    pub(crate) packed: bool,
    abs32: Option<Abs32>,
    pub(crate) opt_level: String,
    pub(crate) directives: bool,
}

/// An object that was built, or given and verified.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Built {
    object: PathBuf,
    image: Image,
    inputs: Vec<PathBuf>,
}

impl Blob {
    /// A blob of this name: letters, digits, `_` and `-`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            said: Said::default(),
            packages: Vec::new(),
            features: Vec::new(),
            default_features: true,
            sources: Vec::new(),
            includes: Vec::new(),
            defines: Vec::new(),
            exports: Vec::new(),
            imports: Vec::new(),
            stack: None,
            packed: false,
            abs32: None,
            opt_level: "s".to_owned(),
            directives: true,
        }
    }

    /// Adds the library of the package in this directory, and all that it depends on.
    ///
    /// It is built in release mode by a cargo of its own, with `panic = "abort"` and optimisation across
    /// crates, for the target alone; features and dependencies are those of its own workspace.
    pub fn cargo_package(mut self, directory: impl Into<PathBuf>) -> Self {
        self.packages.push(directory.into());
        self
    }

    /// Adds features of the package.
    pub fn features<S: Into<String>>(mut self, features: impl IntoIterator<Item = S>) -> Self {
        self.features.extend(features.into_iter().map(Into::into));
        self
    }

    /// Whether the package is built with its default features (it is, if not said otherwise).
    pub fn default_features(mut self, yes: bool) -> Self {
        self.default_features = yes;
        self
    }

    /// Adds a source: `.rs`, `.c`, `.s` or `.S`.
    pub fn source(mut self, path: impl Into<PathBuf>) -> Self {
        self.sources.push(path.into());
        self
    }

    /// Adds a directory to the search for C headers.
    pub fn include(mut self, directory: impl Into<PathBuf>) -> Self {
        self.includes.push(directory.into());
        self
    }

    /// Defines a macro for C: `.define("LEVEL", "2")`, `.define("QUIET", None)`.
    pub fn define<'a>(mut self, key: impl Into<String>, value: impl Into<Option<&'a str>>) -> Self {
        self.defines.push((key.into(), value.into().map(String::from)));
        self
    }

    /// Keeps this symbol although nothing in the blob refers to it, hidden or not; an error if nothing defines it.
    pub fn export(mut self, name: impl Into<String>) -> Self {
        self.exports.push(name.into());
        self
    }

    /// Lets this symbol be undefined: the blob takes it from its host, which declares it in the macro's `imports` block and
    /// supplies its address. Every other undefined symbol stays an error.
    pub fn import(mut self, name: impl Into<String>) -> Self {
        self.imports.push(name.into());
        self
    }

    /// Reserves a stack of so many bytes, rounded up to whole pages, below it a guard page: 16 KiB if not said otherwise.
    /// With 0 there is neither.
    pub fn stack(mut self, bytes: u64) -> Self {
        self.stack = Some(bytes);
        self
    }

    /// Lays everything out in one segment with all permissions, without padding and stack: for code that runs without
    /// an MMU.
    pub fn packed(mut self, yes: bool) -> Self {
        self.packed = yes;
        self
    }

    /// Accepts absolute words that are narrower than an address in an object that was built some other way (by
    /// `PIE_BLOB_PREBUILT_<name>`): of relocatable ones with boot code, or with an entry for 32 bits. The macro has to be told
    /// the same, by `abs32 = …`. No linker leaves any in what is compiled here.
    pub fn abs32(mut self, abs32: Abs32) -> Self {
        self.abs32 = Some(abs32);
        self
    }

    /// How compilers optimise: `0` to `3`, `s` (if not said otherwise), `z`.
    pub fn opt_level(mut self, level: impl Into<String>) -> Self {
        self.opt_level = level.into();
        self
    }

    /// The triple that the blob is built for; a build script is told by cargo.
    pub fn target(mut self, triple: impl Into<String>) -> Self {
        self.said.target = Some(triple.into());
        self
    }

    /// The triple that the compilers run on; rustc's own, if not said otherwise.
    pub fn host(mut self, triple: impl Into<String>) -> Self {
        self.said.host = Some(triple.into());
        self
    }

    /// Where the object is put; a build script is told by cargo.
    pub fn out_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.said.out_dir = Some(directory.into());
        self
    }

    /// The linker: a path, or a name on `PATH`; an LLVM or GNU linker for ELF. The variable `PIE_BLOB_LINKER` names
    /// one, if not said otherwise.
    pub fn linker(mut self, path: impl Into<PathBuf>) -> Self {
        self.said.linker = Some(path.into());
        self
    }

    /// Whether directives for cargo are printed (they are, if not said otherwise): what to track, where the object is.
    pub fn cargo_directives(mut self, yes: bool) -> Self {
        self.directives = yes;
        self
    }

    /// Builds the object. What goes wrong is shown as cargo shows errors, and ends the process.
    pub fn build(self) {
        if let Err(error) = self.try_build() {
            print_error(&format!("blob `{}`: {error}", self.name));
            std::process::exit(1);
        }
    }

    /// Builds the object.
    ///
    /// ```no_run
    /// let built = pie_blob_build::Blob::new("probe")
    ///     .source("probe.c")
    ///     .target("x86_64-unknown-linux-gnu")
    ///     .out_dir("/tmp/probe")
    ///     .cargo_directives(false)
    ///     .try_build()?;
    /// println!("{}: {} bytes", built.object().display(), built.image_size());
    /// # Ok::<(), pie_blob_build::Error>(())
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong, as far as it can be known at once.
    pub fn try_build(&self) -> Result<Built, Error> {
        let variable = self.checked_name()?;
        let prebuilt = format!("PIE_BLOB_PREBUILT_{variable}");
        let mut directives = Directives::default();
        directives.variable(&prebuilt);

        let built = match env::var_os(&prebuilt).filter(|value| !value.is_empty()) {
            Some(object) => self.use_prebuilt(Path::new(&object))?,
            None => self.make(&mut directives)?,
        };
        for path in &built.inputs {
            directives.read(path);
        }
        directives.set(&format!("PIE_BLOB_{variable}"), &built.object);
        if self.directives {
            directives.print();
        }
        Ok(built)
    }

    /// Compiles, links, verifies.
    fn make(&self, directives: &mut Directives) -> Result<Built, Error> {
        if self.packages.is_empty() && self.sources.is_empty() {
            return Err(Error::NoSource { name: self.name.clone() });
        }
        directives.variable(link::VARIABLE);
        let context = Context::new(&self.name, &self.said)?;
        let compiled = compile::all(self, &context)?;
        symbols::refuse_unsuitable(&compiled.inputs)?;
        let exports = symbols::exports(&self.name, &self.exports, &compiled.inputs)?;
        let linked = link::link(self, &context, &compiled, &exports)?;
        let verified = verify::verify(&linked.object, &context.architecture, &exports, self.abs32)?;
        verify::imports(&linked.object, &verified.image, &self.imports)?;
        for warning in &linked.warnings {
            directives.warning(warning);
        }
        let object = context.out_dir.join(format!("{}.po", self.name));
        write_if_changed(&object, &verified.bytes)?;
        Ok(Built { object, image: verified.image, inputs: compiled.read.into_iter().collect() })
    }

    /// Takes the object that the user built some other way.
    fn use_prebuilt(&self, object: &Path) -> Result<Built, Error> {
        let (_, base) = context::places(&self.said)?;
        let object = base.join(object);
        let target = self.said.target()?;
        let verified = verify::verify(&object, &context::architecture(&target)?, &self.exports, self.abs32)?;
        verify::imports(&object, &verified.image, &self.imports)?;
        Ok(Built { inputs: vec![object.clone()], object, image: verified.image })
    }

    /// The name as part of a variable's name.
    fn checked_name(&self) -> Result<String, Error> {
        let is_name = self.name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
            && self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if is_name { Ok(self.name.replace('-', "_")) } else { Err(Error::Name { name: self.name.clone() }) }
    }

    /// Whether anything of the blob is compiled by rustc from Rust.
    pub(crate) fn is_rust(&self) -> bool {
        !self.packages.is_empty()
            || self.sources.iter().any(|path| path.extension().is_some_and(|extension| extension == "rs"))
    }
}

impl Built {
    /// Where the object is.
    #[must_use]
    pub fn object(&self) -> &Path {
        &self.object
    }

    /// The names that a host may use without declaring them, sorted by offset.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        self.image.exports().iter().map(pie_blob_image::Symbol::name)
    }

    /// The size of the image in memory.
    #[must_use]
    pub fn image_size(&self) -> u64 {
        self.image.size()
    }

    /// The image that `pie_blob!` will embed.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Every file that it was made from, as far as the compilers say.
    #[must_use]
    pub fn inputs(&self) -> &[PathBuf] {
        &self.inputs
    }
}

/// Leaves the file alone if it has these contents: what depends on it is not compiled again.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    std::fs::write(path, bytes).map_err(Error::io("write", path))
}
