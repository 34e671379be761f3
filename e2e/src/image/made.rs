//! The images of a bed, from programs of this machine.
//!
//! A program that was built here is linked to this machine's C library. It goes into its image with the loader and the
//! libraries that its own loader names. The other way, a static build of it for a musl target, would need a second
//! target, a second C compiler for aws-lc, and minutes to build the whole tree again; and it would be another program
//! than the one the other tests run. A static program takes nothing along, so the same function makes releases' images.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::archive::Image;
use super::documents::Config;
use super::elf::{self, Program};
use super::files::Files;

/// Whoever runs what need not be root: nobody of this number exists anywhere.
const NOBODY: &str = "65532:65532";
/// What busybox is in its image: what k3s' helper pods call, and what scenarios look and write with.
const APPLETS: [&str; 20] = [
    "cat", "chmod", "cp", "dd", "df", "echo", "env", "false", "id", "ls", "mkdir", "nc", "rm", "sh", "sleep",
    "stat", "sync", "touch", "true", "wget",
];

/// The image that holds a pod's namespaces, from a static program.
pub fn pause(program: &Path) -> Result<Image> {
    let found = is_static(program)?;
    let files = Files::new().copy("pause", 0o755, program)?;
    let config = Config { entrypoint: vec!["/pause".into()], user: NOBODY.into(), ..Config::default() };
    Ok(Image { platform: found.platform, layers: vec![files], config })
}

/// An image with a shell and a few commands, from a static busybox.
pub fn busybox(program: &Path) -> Result<Image> {
    let found = is_static(program).context("use the busybox of Debian's package busybox-static")?;
    let mut files = Files::new().copy("bin/busybox", 0o755, program)?.folder("tmp", 0o1777)?;
    for applet in APPLETS {
        files = files.link(&format!("bin/{applet}"), "busybox")?;
    }
    let environment = vec![("PATH".into(), "/bin".into())];
    let config = Config { entrypoint: vec!["/bin/sh".into()], environment, ..Config::default() };
    Ok(Image { platform: found.platform, layers: vec![files], config })
}

/// An image that runs a program of this machine, as nobody. It stands at `/NAME`; its libraries, if it has any, stand
/// where they stand here, in a layer of their own that changes only when the machine does.
pub fn program(program: &Path) -> Result<Image> {
    let name = program.file_name().and_then(|name| name.to_str()).context("the program has no name")?;
    let found = look(program)?;
    let mut layers = Vec::new();
    if let Some(loader) = &found.loader {
        layers.push(libraries(program, loader)?);
    }
    layers.push(Files::new().copy(name, 0o755, program)?.folder("tmp", 0o1777)?);
    let config = Config { entrypoint: vec![format!("/{name}")], user: NOBODY.into(), ..Config::default() };
    Ok(Image { platform: found.platform, layers, config })
}

/// The loader, and what it loads. It is asked itself: it knows its search path, and it is there where `ldd` is not.
fn libraries(program: &Path, loader: &str) -> Result<Files> {
    let mut command = Command::new(loader);
    // In the image there is no environment that leads it elsewhere.
    let output = command.arg("--list").arg(program).env_clear().stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("start {loader}, the loader of {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{loader} cannot list the libraries of {}: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let mut files = Files::new().copy(loader, 0o755, Path::new(loader))?;
    for library in listed(&said).with_context(|| format!("find the libraries of {}", program.display()))? {
        if library != loader {
            files = files.copy(library, 0o755, Path::new(library))?;
        }
    }
    Ok(files)
}

/// The paths in a loader's list: `libc.so.6 => /lib/libc.so.6 (0x…)`, `/lib64/ld.so (0x…)`, `linux-vdso.so.1 (0x…)`.
fn listed(text: &str) -> Result<Vec<&str>> {
    let mut paths = Vec::new();
    for line in text.lines().map(str::trim) {
        let (name, rest) = line.split_once(" => ").unwrap_or((line, line));
        if rest == "not found" {
            bail!("{name} is not on this machine; install the package that has it");
        }
        // What has no path is the kernel's own.
        let path = rest.rsplit_once(" (0x").map_or(rest, |(path, _)| path);
        if path.starts_with('/') && !paths.contains(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn is_static(program: &Path) -> Result<Program> {
    let found = look(program)?;
    match &found.loader {
        None => Ok(found),
        Some(loader) => bail!("{} needs {loader}, which is not in its image", program.display()),
    }
}

fn look(program: &Path) -> Result<Program> {
    let file = File::open(program).with_context(|| format!("open {}", program.display()))?;
    let mut head = Vec::new();
    file.take(elf::HEAD).read_to_end(&mut head).with_context(|| format!("read {}", program.display()))?;
    elf::read(&head).with_context(|| format!("look at {}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::super::files::{Content, Node};
    use super::*;

    /// This test: a program that was built here.
    fn ourselves() -> std::path::PathBuf {
        std::env::current_exe().unwrap()
    }

    #[test]
    fn a_program_goes_into_its_image_with_its_loader_and_libraries() {
        let ours = ourselves();
        let name = ours.file_name().unwrap().to_str().unwrap();
        let image = program(&ours).unwrap();
        assert_eq!(image.config.entrypoint, [format!("/{name}")]);
        assert_eq!(image.config.user, "65532:65532");
        let [libraries, own] = image.layers.as_slice() else {
            panic!("a layer of libraries and one of its own")
        };
        let paths: Vec<&str> = libraries.iter().map(|(path, _)| path).collect();
        let loader = look(&ours).unwrap().loader.unwrap();
        assert!(paths.contains(&loader.trim_start_matches('/')), "{paths:?}");
        assert!(paths.iter().any(|path| path.ends_with("/libc.so.6")), "{paths:?}");
        assert!(own.iter().any(|(path, _)| path == name));
    }

    #[test]
    fn an_image_of_one_program_takes_only_a_static_one() {
        for make in [pause, busybox] {
            let error = format!("{:#}", make(&ourselves()).unwrap_err());
            assert!(error.contains("needs /") && error.contains("not in its image"), "{error}");
        }
    }

    #[test]
    fn busybox_is_every_command_that_helper_pods_call() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("busybox");
        std::fs::write(&path, [b"\x7fELF\x02\x01".as_slice(), &[0; 12], &[62], &[0; 100]].concat()).unwrap();
        let image = busybox(&path).unwrap();
        let [files] = image.layers.as_slice() else { panic!("one layer") };
        for applet in ["sh", "mkdir", "rm"] {
            let link = Node::Link { target: "busybox".into() };
            assert!(
                files.iter().any(|(path, node)| path == format!("bin/{applet}") && *node == link),
                "{applet}"
            );
        }
        let copy = Node::File { mode: 0o755, content: Content::Disk(path.clone()) };
        assert!(files.iter().any(|(path, node)| path == "bin/busybox" && *node == copy));
    }

    #[test]
    fn a_loaders_list_is_read_as_glibc_and_musl_write_it() {
        let glibc = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n\t/lib64/ld.so.2 (0x00007f)\n";
        assert_eq!(listed(glibc).unwrap(), ["/lib/x/libc.so.6", "/lib64/ld.so.2"]);
        let musl = "\t/lib/ld-musl-x.so.1 (0x7f)\n\tlibgcc_s.so.1 => /usr/lib/libgcc_s.so.1 (0x7f)\n\tlibc.so => /lib/ld-musl-x.so.1 (0x7f)\n";
        assert_eq!(listed(musl).unwrap(), ["/lib/ld-musl-x.so.1", "/usr/lib/libgcc_s.so.1"]);
        assert_eq!(listed("\tstatically linked\n").unwrap(), [""; 0]);
        let missing = listed("\tlibx.so.1 => not found\n").unwrap_err();
        assert!(missing.to_string().contains("libx.so.1 is not on this machine"));
    }
}
