//! Guesses the effect of commands that are not known for certain: proposals for a person.

/// Whether a command seems only to read: a proposal for a person; no tag depends on it.
pub fn seems_to_look(words: &[&str]) -> bool {
    const ACTS: &str = "add rm remove delete del create set put push start stop restart reload update \
        upgrade install uninstall init import export apply edit run exec new generate gen enable \
        disable register unregister move copy load save restore backup write";
    const ASKS: &str = "status list ls show info describe version check ping top stats health \
        report inspect print explain view logs log test verify validate read env whoami search \
        diff query members peers doctor lint help";
    let Some((program, arguments)) = words.split_first() else {
        return false;
    };
    if ["psql", "mysql", "mariadb", "sqlite3"].contains(program) {
        let reads = |word: &&str| {
            let word = word.trim_start().to_ascii_lowercase();
            ["select ", "show ", "\\l", "\\d", "explain "]
                .iter()
                .any(|start| word.starts_with(start))
        };
        return arguments.iter().any(reads) || arguments.contains(&"-l");
    }
    let mut plain = arguments.iter().filter(|word| !word.starts_with('-'));
    let asks = |word: &str| {
        let word = word.to_ascii_lowercase();
        let mut parts = word.split(['-', '_', ':']);
        let last = word.split(['-', '_', ':']).next_back();
        parts
            .next()
            .into_iter()
            .chain(last)
            .any(|part| ASKS.split_whitespace().any(|known| known == part))
    };
    // A changing verb may follow a noun that sounds like reading: check the first two words.
    let first_two: Vec<&str> = plain.by_ref().take(2).copied().collect();
    let acts = first_two
        .iter()
        .any(|word| ACTS.split_whitespace().any(|known| known == *word));
    let gets = first_two.first() == Some(&"get");
    let flags = arguments.iter().any(|word| {
        word.starts_with("--list")
            || word.starts_with("--show")
            || word.starts_with("--status")
            || word.starts_with("--check")
            || word.starts_with("--version")
            || word.ends_with("-status")
    });
    let gpg =
        program.starts_with("gpg") && arguments.iter().any(|word| ["-K", "-k"].contains(word));
    !acts
        && (flags
            || gpg
            || gets
            || first_two.iter().any(|word| asks(word))
            || arguments.is_empty() && asks(program))
}

/// Commands that certainly change something: a block that begins with one is a step.
const CHANGE: &str = "rm mv cp mkdir rmdir touch ln chmod chown chgrp install dd truncate tee rsync scp \
    apt apt-get yum dnf zypper apk pacman pip pip3 npm gem cargo make useradd usermod userdel adduser \
    groupadd groupdel passwd chpasswd systemctl service update-rc.d chkconfig mount umount mkfs \
    mkfs.ext4 mkfs.xfs fdisk parted lvcreate lvextend vgcreate pvcreate resize2fs swapon swapoff \
    kill pkill killall reboot shutdown iptables ip6tables ufw firewall-cmd nft sysctl modprobe rmmod \
    docker podman docker-compose kubectl oc helm git tar unzip gzip gunzip wget curl sed patch \
    createdb dropdb createuser dropuser pg_dump pg_restore pg_basebackup pg_ctlcluster psql mysql \
    mysqldump mongodump mongorestore redis-cli etcdctl rabbitmqctl certbot openssl ssh-keygen \
    update-ca-certificates ldconfig crontab timedatectl hostnamectl localectl swapoff zfs zpool terraform \
    ansible-playbook cd export source . set umask rake bundle python python3 node java \
    go yarn pnpm poetry pipx uv brew zypper snap cryptsetup mke2fs debconf-set-selections \
    update-grub update-initramfs grub-install dpkg rpm virsh nmcli netplan a2enmod a2ensite a2dismod \
    a2dissite gpasswd setfacl restorecon setsebool semanage chcon redis-cli valkey-cli mariadb \
    loginctl ln unlink shred wipefs pvcreate vgextend lvremove pkg_add rcctl launchctl npx nvm \
    bash sh sync alternatives update-alternatives";

/// Whether the command is known to change something, or to prepare a change.
pub fn changes(words: &[&str]) -> bool {
    let program = words
        .first()
        .map(|program| program.rsplit('/').next().unwrap_or(program));
    program.is_some_and(|program| CHANGE.split_whitespace().any(|known| known == program))
}
