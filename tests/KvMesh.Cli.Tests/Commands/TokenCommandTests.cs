using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using KvMesh.Gateway.Access;
using KvMesh.TestKit;

namespace KvMesh.Cli.Tests.Commands;

public sealed class TokenCommandTests : IDisposable
{
    private readonly TemporaryDirectory _folder = new();

    [Fact]
    public async Task A_file_that_is_there_stays_the_same_file()
    {
        var path = Path.Combine(_folder.Path, "tokens.json");
        var link = Path.Combine(_folder.Path, "mounted.json");
        Assert.Equal(0, (await CliRun.Of("token", "--file", path)).ExitCode);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        using (var ln = System.Diagnostics.Process.Start("ln", [path, link]))
        {
            await ln.WaitForExitAsync();
        }

        Assert.Equal(0, (await CliRun.Of("token", "--file", path)).ExitCode);

        Assert.Equal(File.ReadAllText(path), File.ReadAllText(link));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead, File.GetUnixFileMode(path));
        Assert.Equal(2, Directory.GetFiles(_folder.Path).Length);
    }

    [Fact]
    public async Task A_file_with_comments_is_not_written_again()
    {
        var path = Path.Combine(_folder.Path, "tokens.json");
        const string Commented = """{ "tokens": [ /* of the search team */ ] }""";
        File.WriteAllText(path, Commented);

        var run = await CliRun.Of("token", "--file", path);

        Assert.NotEqual(0, run.ExitCode);
        Assert.Contains("has comments, which would be lost", run.Error, StringComparison.Ordinal);
        Assert.Equal(Commented, File.ReadAllText(path));
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Tokens_are_added_to_a_file_that_a_node_reads()
    {
        var path = Path.Combine(_folder.Path, "tokens.json");

        var first = await CliRun.Of("token", "--tenant", "search", "--rights", "read,write", "--file", path);
        var second = await CliRun.Of("token", "--rights", "all", "--note", "operators", "--file", path);

        Assert.Equal((0, 0), (first.ExitCode, second.ExitCode));
        var entries = TokenFile.Read(path);
        Assert.Equal(["search", "default"], entries.Select(entry => entry.Tenant));
        Assert.Equal([AccessRights.Read | AccessRights.Write, AccessRights.All], entries.Select(entry => entry.Rights));
        Assert.False(TokenFile.IsOpenToOthers(path));
    }

    [Fact]
    public async Task The_file_holds_the_hash_and_standard_output_the_token_alone()
    {
        var path = Path.Combine(_folder.Path, "tokens.json");

        var run = await CliRun.Of("token", "--file", path);

        var token = run.Out.Trim();
        var content = await File.ReadAllTextAsync(path);
        Assert.Contains(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token))), content, StringComparison.Ordinal);
        Assert.DoesNotContain(token, content, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Scripts_get_the_token_in_a_json_object()
    {
        var run = await CliRun.Of("token", "--tenant", "search", "--rights", "all", "--json");

        var report = JsonDocument.Parse(run.Out).RootElement;
        Assert.Equal("search", report.GetProperty("tenant").GetString());
        Assert.NotEmpty(report.GetProperty("token").GetString()!);
        Assert.DoesNotContain("peer", report.GetProperty("rights").EnumerateArray().Select(right => right.GetString()));
    }

    [Fact]
    public async Task A_file_that_is_no_token_file_is_left_alone()
    {
        var path = Path.Combine(_folder.Path, "tokens.json");
        await File.WriteAllTextAsync(path, "[]");

        var run = await CliRun.Of("token", "--file", path);

        Assert.Equal(1, run.ExitCode);
        Assert.Equal("[]", await File.ReadAllTextAsync(path));
    }
}
