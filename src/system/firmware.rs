//! What the machine says of itself: is it an Alibaba Cloud node at all?

use std::path::Path;

/// Where the firmware's vendor name stands on Linux.
const DMI_VENDOR: &str = "/sys/class/dmi/id/sys_vendor";

/// The vendor that ECS instances name.
const ALIBABA_CLOUD: &str = "Alibaba Cloud";

/// Another one for every start of the machine (`random(4)`).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// An id of this start of the machine; none where the kernel does not say.
pub fn boot_id() -> Option<String> {
    std::fs::read_to_string(BOOT_ID).ok().filter(|id| !id.trim().is_empty())
}

/// What the firmware says, as far as it says anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Machine {
    AlibabaCloud,
    /// Another vendor's name, for the message.
    Other(String),
    /// No such file: a container, or firmware without DMI.
    Unknown,
}

impl Machine {
    pub fn read() -> Self {
        Self::from_vendor_file(Path::new(DMI_VENDOR))
    }

    fn from_vendor_file(path: &Path) -> Self {
        match std::fs::read_to_string(path) {
            Ok(vendor) if vendor.trim() == ALIBABA_CLOUD => Self::AlibabaCloud,
            Ok(vendor) => {
                Self::Other(vendor.trim().chars().filter(|c| !c.is_control()).take(60).collect())
            }
            Err(_) => Self::Unknown,
        }
    }
}
