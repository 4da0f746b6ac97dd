//! What an object says of its own functions and statics, as far as it says anything.

use std::fmt;

/// What the debugging information says of one symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    pub(crate) name: String,
    pub(crate) source: Option<String>,
    pub(crate) what: Described,
}

/// A function's signature or a static's type.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Described {
    /// A function.
    Function {
        /// Its parameters, in their order.
        parameters: Vec<Parameter>,
        /// Whether more parameters may follow.
        variadic: bool,
        /// What it returns.
        result: Value,
    },
    /// A static.
    Static(Value),
}

/// A parameter of a function.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// Its name in the source; empty where it has none.
    pub name: String,
    /// Its type.
    pub value: Value,
}

/// A type, as far as passing a value of it goes.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value {
    /// Its name in the source.
    pub name: String,
    /// Bytes; `None` where the object does not say.
    pub size: Option<u64>,
    /// How it is passed.
    pub class: Class,
    /// The structure that it is, or that it points to.
    pub structure: Option<Structure>,
}

/// How a value is passed. A structure around one scalar is that scalar.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// There is none: `void`, `()`, `!`.
    Nothing,
    /// An integer, `bool`, a character, an enumeration of C.
    Integer,
    /// An address.
    Pointer,
    /// A floating-point number.
    Float,
    /// A structure, union or array.
    Aggregate,
    /// The object does not say, or it is none of these.
    Unknown,
}

/// A structure's layout.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Structure {
    /// Its name in the source.
    pub name: String,
    /// Bytes; `None` where the object only declares it.
    pub size: Option<u64>,
    /// Its members with a name, in their order.
    pub members: Vec<Member>,
}

/// A member of a structure.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its name in the source.
    pub name: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Bytes; `None` where the object does not say.
    pub size: Option<u64>,
}

impl Description {
    /// What it is.
    #[must_use]
    pub fn what(&self) -> &Described {
        &self.what
    }

    /// Where it is declared: file and line.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }
}

impl Value {
    pub(crate) fn new(name: impl Into<String>, class: Class, size: Option<u64>) -> Self {
        Self { name: name.into(), size, class, structure: None }
    }

    pub(crate) fn unknown() -> Self {
        Self::new("_", Class::Unknown, None)
    }

    pub(crate) fn nothing() -> Self {
        Self::new("()", Class::Nothing, Some(0))
    }
}

/// As Rust would declare it, for a message.
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Described::Static(value) => write!(f, "`static {}: {}`", self.name, value.name)?,
            Described::Function { parameters, variadic, result } => {
                write!(f, "`fn {}(", self.name)?;
                for (index, Parameter { name, value }) in parameters.iter().enumerate() {
                    let name = if name.is_empty() { "_" } else { name };
                    write!(f, "{}{name}: {}", if index == 0 { "" } else { ", " }, value.name)?;
                }
                if *variadic {
                    f.write_str(if parameters.is_empty() { "..." } else { ", ..." })?;
                }
                f.write_str(")")?;
                if result.name != "()" {
                    write!(f, " -> {}", result.name)?;
                }
                f.write_str("`")?;
            }
        }
        match &self.source {
            Some(source) => write!(f, " at {source}"),
            None => Ok(()),
        }
    }
}
