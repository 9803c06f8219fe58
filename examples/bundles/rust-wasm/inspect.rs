//! Prints its arguments, its environment and a directory, writes a file, and ends with the status it was asked for.

use std::{env, fs, io, process};

fn list(directory: &str) -> io::Result<()> {
    let mut names: Vec<_> = fs::read_dir(directory)?
        .map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, _>>()?;
    names.sort();
    println!("{directory} holds {}", names.join(" "));
    Ok(())
}

fn write(path: &str) {
    match fs::write(path, "written by Rust\n") {
        Ok(()) => println!("wrote {path}"),
        Err(error) => println!("could not write {path}: {:?}", error.kind()),
    }
}

fn main() {
    let args: Vec<String> = env::args().collect();
    println!("arguments {args:?}");
    for (name, value) in env::vars() {
        println!("variable {name}={value}");
    }
    let directory = args.get(1).map_or("/", |text| text.as_str());
    if let Err(error) = list(directory) {
        println!("could not list {directory}: {error}");
    }
    write(&format!("{directory}/note"));
    write(&format!("{directory}/scratch/note"));
    process::exit(args.get(2).and_then(|text| text.parse().ok()).unwrap_or(0));
}
