using System.Globalization;
using System.Text.RegularExpressions;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>Programs that people use, unmodified.</summary>
public sealed partial class ClientProgramTests
{
    [Theory]
    [InlineData("set k v", "OK")]
    [InlineData("get nothing", "")]
    [InlineData("-3 get nothing", "")]
    [InlineData("ping", "PONG")]
    [InlineData("echo hi", "hi")]
    [InlineData("config get appendonly", "appendonly\nno")]
    [InlineData("-3 config get appendonly", "appendonly no")]
    public async Task redis_cli_works(string arguments, string output)
    {
        await using var host = new RespHost();

        Assert.Equal(output, (await RunAsync("redis-cli", $"-p {host.Port} {arguments}")).Trim());
    }

    [Fact]
    public async Task redis_cli_reads_what_it_wrote_from_its_standard_input()
    {
        await using var host = new RespHost();
        var output = await RunAsync("redis-cli", $"-p {host.Port}", "SET a 1\nSET b 2 EXAT 4000000000\nMGET a b c\nDBSIZE\nEXPIRETIME b\nDEL a b\nNOSUCH\n");

        Assert.Equal(
            "OK\nOK\n1\n2\n\n2\n4000000000\n2\nERR unknown command 'NOSUCH', with args beginning with: ", output.Replace("\n\n\n", "\n\n", StringComparison.Ordinal).TrimEnd('\n'));
    }

    [Fact]
    public async Task redis_cli_scans_for_big_keys()
    {
        await using var host = new RespHost();
        await RunAsync("redis-cli", $"-p {host.Port}", string.Concat(Enumerable.Range(0, 50).Select(index => $"SET key{index} {new string('x', index + 1)}\n")));

        Assert.Contains("Sampled 50 keys in the keyspace!", await RunAsync("redis-cli", $"-p {host.Port} --bigkeys"), StringComparison.Ordinal);
        Assert.Equal(50, (await RunAsync("redis-cli", $"-p {host.Port} --scan")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Theory]
    [InlineData("-d 28 -P 16 -n 20000 -c 4")]
    [InlineData("-d 100000 -P 2 -n 400 -c 2")]
    [InlineData("-d 28 -P 1 -n 2000 -c 50 -3")]
    public async Task redis_benchmark_runs_without_an_error(string arguments)
    {
        await using var host = new RespHost();
        var output = await RunAsync("redis-benchmark", $"-p {host.Port} -q -r 50 -t ping,set,get,mset {arguments}");

        Assert.DoesNotContain("rror", output, StringComparison.Ordinal);
        foreach (var test in new[] { "PING_INLINE", "PING_MBULK", "SET", "GET", "MSET (10 keys)" })
        {
            var line = output.Split('\r', '\n').Last(text => text.StartsWith(test + ": ", StringComparison.Ordinal) && text.Contains("per second", StringComparison.Ordinal));
            Assert.True(double.Parse(Rate().Match(line).Groups[1].Value, CultureInfo.InvariantCulture) > 0, line);
        }
    }

    [Fact]
    public async Task redis_py_works()
    {
        await using var host = new RespHost();
        var script = Path.Combine(SourceTree.Root, "tests", "python", "redis_py.py");

        Assert.Equal("all well\n", await RunAsync("/usr/bin/python3", $"{script} {host.Port}"));
    }

    private static async Task<string> RunAsync(string program, string arguments, string input = "")
    {
        await using var process = ChildProcess.Start(program, arguments.Split(' '), input: input);
        var exitCode = await process.WaitForExitAsync(Eventually.Patience);
        Assert.True(exitCode == 0, $"{program} {arguments} ended with {exitCode}:\n{process.Describe()}");
        return string.Concat(process.Output.Select(line => line + "\n"));
    }

    [GeneratedRegex(@": ([0-9.]+) requests per second")]
    private static partial Regex Rate();
}
