# Written, and not yet run: see README.md.
{
  description = "Operations manuals that are read, run and tested from one Markdown source";
  inputs.nixpkgs.url = "nixpkgs/nixos-unstable";
  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
    in {
      packages = each (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = "opsbook";
          version = (builtins.fromTOML (builtins.readFile ../Cargo.toml)).workspace.package.version;
          src = ../.;
          cargoLock.lockFile = ../Cargo.lock;
          nativeBuildInputs = [ pkgs.installShellFiles pkgs.makeWrapper ];
          # The tests want sshd, namespaces and a browser.
          doCheck = false;
          postInstall = ''
            $out/bin/opsbook man --dir man
            installManPage man/*.1
            installShellCompletion --cmd opsbook \
              --bash <($out/bin/opsbook completions bash) \
              --zsh <($out/bin/opsbook completions zsh) \
              --fish <($out/bin/opsbook completions fish)
            wrapProgram $out/bin/opsbook --suffix PATH : ${pkgs.lib.makeBinPath [ pkgs.openssh pkgs.git ]}
          '';
        };
      });
    };
}
