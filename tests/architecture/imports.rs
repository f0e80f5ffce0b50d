//! The paths that a piece of code names: in `use` trees, however nested, and
//! inline. `super`, `self` and the crate's own name are resolved.
//!
//! Must not: know which of them are allowed.

/// A path, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Counted from 1.
    pub line: usize,
    /// The path.
    pub path: Path,
}

/// A path. A glob ends in `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// Within the crate, from its root, without `crate`.
    Own(Vec<String>),
    /// Of another crate, or relative to what is in scope.
    Foreign(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Colons,
    Sign(u8),
}

/// All paths in `code`, which is in the module `module`. Comments, texts and
/// test code must be blanked already.
pub fn of(code: &str, module: &[String]) -> Vec<Import> {
    let tokens = tokens(code);
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        found: Vec::new(),
    };
    // A crate root's own path is empty, whatever its file is called.
    let root = module.len() == 1 && matches!(module[0].as_str(), "main" | "lib");
    let module = if root { Vec::new() } else { module.to_vec() };
    // Inline modules that are open: `None` for any other brace.
    let mut braces: Vec<Option<String>> = Vec::new();
    let mut opens: Option<String> = None;
    while let Some((token, line)) = tokens.get(reader.at) {
        let mut here = module.clone();
        here.extend(braces.iter().flatten().cloned());
        match token {
            Token::Word(word) if word == "use" => {
                reader.at += 1;
                reader.tree(&here, &[]);
            }
            Token::Word(word) if word == "mod" => {
                if let Some((Token::Word(name), _)) = tokens.get(reader.at + 1) {
                    opens = Some(name.clone());
                }
                reader.at += 2;
            }
            Token::Word(_) => reader.inline(&here, *line),
            Token::Sign(b'{') => {
                braces.push(opens.take());
                reader.at += 1;
            }
            Token::Sign(b'}') => {
                braces.pop();
                reader.at += 1;
            }
            Token::Sign(b';') => {
                opens = None;
                reader.at += 1;
            }
            Token::Sign(_) | Token::Colons => reader.at += 1,
        }
    }
    reader.found
}

/// The modules that `code` declares, and the line of each.
pub fn modules(code: &str) -> Vec<(String, usize)> {
    let tokens = tokens(code);
    tokens
        .windows(2)
        .filter_map(|pair| match pair {
            [(Token::Word(word), _), (Token::Word(name), line)] if word == "mod" => {
                Some((name.clone(), *line))
            }
            _ => None,
        })
        .collect()
}

fn tokens(code: &str) -> Vec<(Token, usize)> {
    let mut found = Vec::new();
    let (bytes, mut at, mut line) = (code.as_bytes(), 0, 1);
    while at < bytes.len() {
        let byte = bytes[at];
        if byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii() {
            let end = bytes[at..]
                .iter()
                .position(|b| !(b.is_ascii_alphanumeric() || *b == b'_' || !b.is_ascii()))
                .map_or(bytes.len(), |len| at + len);
            found.push((Token::Word(code[at..end].to_owned()), line));
            at = end;
        } else if bytes[at..].starts_with(b"::") {
            found.push((Token::Colons, line));
            at += 2;
        } else {
            if byte == b'\n' {
                line += 1;
            } else if !byte.is_ascii_whitespace() {
                found.push((Token::Sign(byte), line));
            }
            at += 1;
        }
    }
    found
}

struct Reader<'t> {
    tokens: &'t [(Token, usize)],
    at: usize,
    found: Vec<Import>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    /// One branch of a `use` tree, behind `prefix`.
    fn tree(&mut self, here: &[String], prefix: &[String]) {
        let mut path = prefix.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |(_, line)| *line);
        loop {
            match self.peek().cloned() {
                Some(Token::Colons) => self.at += 1,
                Some(Token::Word(word)) if word == "as" => self.at += 2,
                Some(Token::Word(word)) => {
                    path.push(word);
                    self.at += 1;
                }
                Some(Token::Sign(b'*')) => {
                    path.push("*".to_owned());
                    self.at += 1;
                }
                Some(Token::Sign(b'{')) => {
                    self.at += 1;
                    while !matches!(self.peek(), None | Some(Token::Sign(b'}'))) {
                        if self.peek() == Some(&Token::Sign(b',')) {
                            self.at += 1;
                        } else {
                            self.tree(here, &path);
                        }
                    }
                    self.at += 1;
                    return;
                }
                _ => break,
            }
        }
        // Nothing was read: step over what stands in the way, never stand still.
        if path.len() == prefix.len() {
            self.at += 1;
        }
        // `a::{self}` is `a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        self.add(here, path, line);
    }

    /// A path in the middle of code; single words say nothing.
    fn inline(&mut self, here: &[String], line: usize) {
        let mut path = Vec::new();
        while let Some(Token::Word(word)) = self.peek().cloned() {
            path.push(word);
            self.at += 1;
            if self.peek() != Some(&Token::Colons) {
                break;
            }
            self.at += 1;
        }
        if path.len() > 1 {
            self.add(here, path, line);
        }
    }

    fn add(&mut self, here: &[String], path: Vec<String>, line: usize) {
        let path = match path.first().map(String::as_str) {
            Some("crate" | "supametas_sync") => Path::Own(path[1..].to_vec()),
            Some("self" | "super") => {
                let mut base = here.to_vec();
                let mut rest = path.as_slice();
                while let Some((first, more)) = rest.split_first() {
                    match first.as_str() {
                        "super" => {
                            base.pop();
                        }
                        "self" => {}
                        _ => break,
                    }
                    rest = more;
                }
                base.extend_from_slice(rest);
                Path::Own(base)
            }
            Some(_) => Path::Foreign(path),
            None => return,
        };
        self.found.push(Import { line, path });
    }
}

#[test]
fn trees_and_inline_paths_are_read() {
    let module = ["watch".to_owned(), "root".to_owned()];
    let read = |code: &str| -> Vec<String> {
        let name = |import: Import| match import.path {
            Path::Own(path) => format!("crate::{} {}", path.join("::"), import.line),
            Path::Foreign(path) => format!("{} {}", path.join("::"), import.line),
        };
        of(code, &module).into_iter().map(name).collect()
    };
    assert_eq!(
        read("use a::{b::{self, c as d}, e::*};\nuse super::x;"),
        ["a::b 1", "a::b::c 1", "a::e::* 1", "crate::watch::x 2"]
    );
    assert_eq!(
        read("use self::a; fn f() { crate::b::c(); d.e() }"),
        ["crate::watch::root::a 1", "crate::b::c 1"]
    );
    assert_eq!(
        read("mod m { use super::super::y; } use super::z;"),
        ["crate::watch::y 1", "crate::watch::z 1"]
    );
    assert_eq!(
        read("let v: Vec<crate::a::B> = crate::c::D::<u8>::new();"),
        ["crate::a::B 1", "crate::c::D 1"]
    );
    assert_eq!(
        modules("pub mod a;\nmod b { }"),
        [("a".to_owned(), 1), ("b".to_owned(), 2)]
    );
}
