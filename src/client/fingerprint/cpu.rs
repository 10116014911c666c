//! ◇ The processor.

use std::fs;
use std::path::Path;

/// What it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Its model, as it calls itself.
    pub model: String,
    /// Ids of the cores that are online.
    pub cores: Vec<u16>,
    /// MHz of all of them.
    pub total_mhz: i64,
}

impl Cpu {
    /// MHz of one core.
    pub fn core_mhz(&self) -> i64 {
        self.total_mhz / i64::try_from(self.cores.len().max(1)).unwrap_or(1)
    }
}

/// A machine that does not tell its frequency is believed to have this one, in MHz, as Nomad does.
const GUESS_MHZ: i64 = 1_000;

/// Looks below `root`, which is `/`. `override_mhz` replaces what is measured unless it is 0.
pub(super) fn look(root: &Path, override_mhz: i64) -> Cpu {
    let info = fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
    let cores =
        cores(&fs::read_to_string(root.join("sys/devices/system/cpu/online")).unwrap_or_default());
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == name))
            .map(|(_, value)| value.trim().to_owned())
    };
    let base = |file: &str| -> Option<i64> {
        let path = root.join("sys/devices/system/cpu/cpu0/cpufreq").join(file);
        fs::read_to_string(path).ok()?.trim().parse::<i64>().ok().map(|khz| khz / 1000)
    };
    let told = field("cpu MHz")
        .and_then(|text| text.split('.').next().and_then(|whole| whole.parse::<i64>().ok()));
    // The base clock is what the machine can keep up on all cores; the current one changes from read to read.
    let core_mhz = base("base_frequency")
        .or_else(|| base("cpuinfo_max_freq"))
        .or(told)
        .filter(|mhz| *mhz > 0)
        .unwrap_or(GUESS_MHZ);
    let count = i64::try_from(cores.len().max(1)).unwrap_or(1);
    let total_mhz = if override_mhz > 0 { override_mhz } else { core_mhz * count };
    Cpu {
        model: field("model name").or_else(|| field("Model")).unwrap_or_default(),
        cores,
        total_mhz,
    }
}

/// `0-2,5`.
pub(super) fn cores(list: &str) -> Vec<u16> {
    let range = |part: &str| -> Option<std::ops::RangeInclusive<u16>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_read_as_the_kernel_lists_them() {
        assert_eq!(cores("0-2,5\n"), [0, 1, 2, 5]);
        assert!(cores("").is_empty());
        assert_eq!(cores("x,3"), [3]);
    }

    #[test]
    fn the_base_clock_counts_and_the_owner_knows_better() {
        let dir = tempfile::tempdir().unwrap();
        let freq = dir.path().join("sys/devices/system/cpu/cpu0/cpufreq");
        fs::create_dir_all(&freq).unwrap();
        fs::create_dir_all(dir.path().join("proc")).unwrap();
        fs::write(freq.join("base_frequency"), "2400000\n").unwrap();
        fs::write(dir.path().join("sys/devices/system/cpu/online"), "0-3\n").unwrap();
        fs::write(dir.path().join("proc/cpuinfo"), "model name\t: X\ncpu MHz\t\t: 900.1\n")
            .unwrap();
        let cpu = look(dir.path(), 0);
        assert_eq!((cpu.total_mhz, cpu.core_mhz(), cpu.model.as_str()), (9600, 2400, "X"));
        assert_eq!(look(dir.path(), 5000).total_mhz, 5000);
    }
}
