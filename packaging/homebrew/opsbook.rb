# Written, and not yet run: see ../README.md.
class Opsbook < Formula
  desc "Operations manuals that are read, run and tested from one Markdown source"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    system bin/"opsbook", "man", "--dir", man1
    generate_completions_from_executable(bin/"opsbook", "completions", shells: [:bash, :zsh, :fish])
  end

  test do
    system bin/"opsbook", "init", "ops"
    system bin/"opsbook", "-C", "ops", "test"
  end
end
