//! Where configurations are read from: one file, or since release 1.34 a directory.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

#[test]
fn a_directory_is_read_in_the_order_of_names() {
    let directory = Directory::new("order");
    let config_of = |name: &str| PLAIN.replace("name: acr", &format!("name: {name}"));
    directory.write("20.yaml", &config_of("second"));
    directory.write(
        "10.yml",
        &config_of("first").replace("config.k8s.io/v1\n", "config.k8s.io/v1beta1\n"),
    );
    directory.write("30.json", &json_config("third"));
    directory.write(".yaml", &config_of("dot"));
    directory.write("40.yaml.bak", "not read");
    directory.write("README", "not read");
    fs::create_dir(directory.0.join("50.yaml")).unwrap();
    let config = Kubelet::release(34).read_config(&directory.0).unwrap();
    let names: Vec<_> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!(names, ["dot", "first", "second", "third"]);
    assert!(Kubelet::release(33).read_config(&directory.0).is_err(), "no directories before 1.34");
}

#[test]
fn one_bad_file_spoils_a_directory() {
    let read = |directory: &Directory| Kubelet::release(34).read_config(&directory.0);
    let directory = Directory::new("bad");
    assert!(read(&directory).unwrap_err().contains("no configuration files found"));
    directory.write("a.yaml", PLAIN);
    assert!(read(&directory).is_ok());
    directory.write("b.yaml", PLAIN);
    assert!(read(&directory).unwrap_err().contains("duplicate value \"acr\""));
    directory.write("b.yaml", "kind: x");
    assert!(read(&directory).unwrap_err().contains("b.yaml"));
    fs::remove_file(directory.0.join("b.yaml")).unwrap();
    symlink("/nowhere", directory.0.join("c.yaml")).unwrap();
    assert!(read(&directory).unwrap_err().contains("c.yaml"));
}

#[test]
fn a_single_file_may_have_any_name() {
    let directory = Directory::new("single");
    directory.write("config", PLAIN);
    for minor in [33, 34] {
        assert!(Kubelet::release(minor).read_config(&directory.0.join("config")).is_ok());
    }
    assert!(Kubelet::release(34).read_config(&directory.0.join("none")).is_err());
}

fn json_config(name: &str) -> String {
    format!(
        r#"{{"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig","providers":[
            {{"name":"{name}","matchImages":["a.b"],"defaultCacheDuration":"0s",
              "apiVersion":"credentialprovider.kubelet.k8s.io/v1"}}]}}"#
    )
}

/// A directory of its own for one test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("kubelet-config-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
