//! Joins the parts of the browser's scripts and makes them small: `$OUT_DIR/shim.js` and
//! `$OUT_DIR/worker.js`.
//!
//! Each result is one arrow function. A part that isn't JavaScript fails the build. Names of
//! properties are shortened only where `src/shim/private-names.txt` lists them: never a name of the
//! platform, of a library that the script looks into, of the configuration, of the wire, or of what
//! a page and the worker tell each other.

use oxc_allocator::Allocator;
use oxc_codegen::{Codegen, CodegenOptions, CommentOptions};
use oxc_minifier::{
    CompressOptions, MangleOptions, ManglePropertiesOptions, Minifier, MinifierOptions,
};
use oxc_parser::Parser;
use oxc_span::SourceType;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

const SHIM: &str = "src/shim";
const NAMES: &str = "src/shim/private-names.txt";

/// Stands before the function, so that no minifier takes it for dead code.
const CALL: &str = "pollcast";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={SHIM}");
    let names = fs::read_to_string(NAMES)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    let page = parts("parts")?;
    let mut worker = parts("worker")?;
    // Clock and check are those of the page.
    worker.extend(page.iter().filter(|part| part.ends_with("20-shared.js")).cloned());
    worker.sort_by_key(|part| part.file_name().map(ToOwned::to_owned));
    fs::write(out.join("shim.js"), smaller("CONFIG", &page, names.trim())?)?;
    fs::write(out.join("worker.js"), smaller("", &worker, "")?)?;
    Ok(())
}

/// The parts of one script, in the order of their names.
fn parts(room: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let entries = fs::read_dir(Path::new(SHIM).join(room))?;
    let mut parts =
        entries.map(|entry| entry.map(|it| it.path())).collect::<Result<Vec<_>, _>>()?;
    parts.retain(|part| part.extension().is_some_and(|extension| extension == "js"));
    parts.sort();
    Ok(parts)
}

/// All parts as the body of one function with that parameter, minified.
fn smaller(parameter: &str, parts: &[PathBuf], names: &str) -> Result<String, Box<dyn Error>> {
    let mut source = format!("{CALL}(({parameter})=>{{'use strict';\n");
    for part in parts {
        source.push_str(&fs::read_to_string(part)?);
    }
    source.push_str("});");
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, &source, SourceType::cjs()).parse();
    if let Some(fault) = parsed.diagnostics.into_iter().next() {
        return Err(format!("{parts:?}: {fault:?}").into());
    }
    let mut program = parsed.program;
    let pattern = format!("^({})$", names.lines().collect::<Vec<_>>().join("|"));
    let shorten = ManglePropertiesOptions::from_pattern(&pattern)?;
    let options = MinifierOptions {
        mangle: Some(MangleOptions::default()),
        mangle_properties: (!names.is_empty()).then_some(shorten),
        compress: Some(CompressOptions::smallest()),
    };
    let done = Minifier::new(options).minify(&allocator, &mut program);
    let options = CodegenOptions {
        minify: true,
        comments: CommentOptions::disabled(),
        ..CodegenOptions::default()
    };
    let printed = Codegen::new().with_options(options).with_scoping(done.scoping).build(&program);
    let function = printed.code.trim().trim_end_matches(';');
    let function = function.strip_prefix(CALL).ok_or("the minifier dropped the call")?;
    Ok(function.to_owned())
}
