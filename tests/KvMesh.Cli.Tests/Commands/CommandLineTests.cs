using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using KvMesh.TestKit;

namespace KvMesh.Cli.Tests.Commands;

public sealed class CommandLineTests
{
    private static readonly string[] VerbNames =
        ["serve", "up", "nodes", "seq", "orders", "drain", "demo", "replay", "simulate", "trace", "bench", "status", "advise", "top", "put", "get", "rm", "purge", "console", "token"];

    public static TheoryData<string> Verbs => new(VerbNames);

    [Theory]
    [MemberData(nameof(Verbs))]
    public async Task Every_verb_explains_itself_with_examples(string verb)
    {
        var run = await CliRun.Of(verb, "--help");

        Assert.Equal(0, run.ExitCode);
        Assert.Contains("Usage:", run.Out, StringComparison.Ordinal);
        Assert.Contains("Examples:", run.Out, StringComparison.Ordinal);
        Assert.Contains($"kvmesh {verb}", run.Out, StringComparison.Ordinal);
        Assert.Empty(run.Error);
    }

    [Fact]
    public async Task The_first_help_names_all_verbs_and_the_exit_codes()
    {
        var run = await CliRun.Of("--help");

        Assert.All(VerbNames, verb => Assert.Contains($"  {verb}", run.Out, StringComparison.Ordinal));
        Assert.Contains("Exit codes:", run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("frobnicate")]
    [InlineData("serve --nonsense")]
    [InlineData("serve --arena lots")]
    [InlineData("serve --native 127.0.0.1")]
    [InlineData("serve --http off")]
    [InlineData("replay /no/such/trace.jsonl")]
    [InlineData("replay")]
    [InlineData("bench --via carrier-pigeon")]
    [InlineData("bench --block-bytes 1TiB")]
    [InlineData("bench --endpoint tcp://127.0.0.1:1 --arena 1GiB")]
    [InlineData("demo --requests -5")]
    [InlineData("bench --endpoint 127.0.0.1:8601")]
    [InlineData("get key --json")]
    [InlineData("purge")]
    [InlineData("purge --revision r1")]
    [InlineData("token --rights everything")]
    [InlineData("status --node ftp://x")]
    [InlineData("rm")]
    [InlineData("advise --ram much")]
    [InlineData("advise --disk 2048TiB")]
    [InlineData("advise --codec 0.5")]
    [InlineData("get hex:0g")]
    [InlineData("get --jsn")]
    [InlineData("console --listen gpu-7:9000")]
    [InlineData("drain")]
    [InlineData("drain n1 --undo --wait")]
    [InlineData("drain n1 --timeout 5")]
    [InlineData("orders cancel")]
    [InlineData("orders cancel first")]
    [InlineData("orders cancel 0")]
    [InlineData("orders --count 0")]
    public async Task A_wrong_command_line_is_exit_code_2_with_a_reason(string arguments)
    {
        var run = await CliRun.Of(arguments.Split(' '));

        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith("kvmesh: ", run.Error, StringComparison.Ordinal);
        HasNoResult(arguments, run);
    }

    [Theory]
    [InlineData("--arena", "serve --arena lots", "--arena is 'lots'")]
    [InlineData("--clients", "bench --clients 0", "--clients is '0'; it must be a whole number from 1 to 256.")]
    public async Task A_wrong_value_is_told_with_option_value_and_limit(string option, string arguments, string expected)
    {
        var run = await CliRun.Of(arguments.Split(' '));

        Assert.Contains(option, run.Error, StringComparison.Ordinal);
        Assert.Contains(expected, run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--routing affinity", "--routing says which of several nodes a request enters at; it needs --endpoints.")]
    [InlineData("--affinity-blocks 3", "--affinity-blocks says which")]
    [InlineData("--endpoints tcp://a:1,tcp://b:1 --endpoint tcp://c:1", "--endpoint describes one node; it cannot go with --endpoints.")]
    [InlineData("--endpoints tcp://a:1,tcp://b:1 --capacity-blocks 10", "--capacity-blocks describes one node")]
    [InlineData("--retention fifo", "--retention is 'fifo'; it must be one of lru, s3fifo, arc, wtinylfu, hazard.")]
    [InlineData("--retention 1", "--retention is '1'; it must be one of lru")]
    [InlineData("--endpoint tcp://a:1 --retention lru", "--retention describes a node inside this process; it cannot go with --endpoint.")]
    [InlineData("--endpoints tcp://a:1,tcp://b:1 --data-dir x", "--data-dir describes one node")]
    [InlineData("--endpoints tcp://a:1,tcp://b:1 --affinity-blocks 3", "--affinity-blocks needs --routing affinity.")]
    [InlineData("--endpoints tcp://a:1,tcp://a:1", "--endpoints names 'tcp://a:1' 2 times")]
    [InlineData("--endpoints tcp://a:1,,tcp://b:1", "'' is neither tcp://host:port nor unix:/path, which --via native needs.")]
    [InlineData("--endpoints a:1,b:1", "'a:1' is neither tcp://host:port nor unix:/path, which --via native needs.")]
    [InlineData("--via resp --endpoints a:1,unix:/b", "'unix:/b' is not host:port, which --via resp needs.")]
    [InlineData("--endpoints tcp://a:1,tcp://b:1 --routing random", "'random'")]
    public async Task A_replay_that_contradicts_itself_is_told_why(string arguments, string expected)
    {
        var path = Path.GetTempFileName();
        try
        {
            var run = await CliRun.Of(["replay", path, .. arguments.Split(' ')]);

            Assert.Equal(2, run.ExitCode);
            Assert.Contains(expected, run.Error, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task A_malformed_trace_names_line_and_field()
    {
        var path = Path.GetTempFileName();
        try
        {
            await File.WriteAllLinesAsync(path, ["""{"timestamp": 0, "input_length": 512, "output_length": 1, "hash_ids": [0]}""", """{"timestamp": 1}"""]);

            var run = await CliRun.Of("replay", path, "--json");

            Assert.Equal(1, run.ExitCode);
            Assert.Contains("line 2: input_length is missing", run.Error, StringComparison.Ordinal);
            HasNoResult("--json", run);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("status --json --node http://{0}")]
    [InlineData("top --node http://{0}")]
    [InlineData("orders --node http://{0}")]
    [InlineData("drain n1 --wait --node http://{0}")]
    [InlineData("purge --model m --node http://{0}")]
    [InlineData("get key --endpoint tcp://{0}")]
    [InlineData("rm key --endpoint tcp://{0}")]
    [InlineData("bench --endpoint tcp://{0}")]
    [InlineData("bench --via resp --endpoint {0}")]
    public async Task A_node_that_is_not_there_is_exit_code_3(string arguments)
    {
        using var closed = new ClosedPort();

        var run = await CliRun.Of(string.Format(null, arguments, closed.Endpoint).Split(' '));

        Assert.Equal(3, run.ExitCode);
        Assert.StartsWith("kvmesh: ", run.Error, StringComparison.Ordinal);
        HasNoResult(arguments, run);
    }

    [Theory]
    [InlineData("put a /no/such/file", "file is '/no/such/file', which does not exist; it must be a file.")]
    [InlineData("put a /tmp", "file is '/tmp', which is a folder; it must be a file.")]
    public async Task A_file_that_cannot_be_put_is_named(string arguments, string expected)
    {
        var run = await CliRun.Of(arguments.Split(' '));

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(expected, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_that_is_taken_is_told_without_a_stack_trace()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();

        var run = await CliRun.Of("console", "--listen", $"{taken.LocalEndpoint}", "--json");

        Assert.Equal(1, run.ExitCode);
        Assert.Contains($"--listen {taken.LocalEndpoint} cannot be used", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", run.Error + run.Out, StringComparison.Ordinal);
        HasNoResult("--json", run);
    }

    /// <summary>Nothing on standard output, or the one JSON object that was asked for, with the message and the exit code.</summary>
    private static void HasNoResult(string arguments, CliRun run)
    {
        if (!arguments.Contains("--json", StringComparison.Ordinal))
        {
            Assert.Empty(run.Out);
            return;
        }

        var answer = JsonDocument.Parse(Assert.Single(run.Out.TrimEnd().Split('\n'))).RootElement;
        Assert.Equal(run.ExitCode, answer.GetProperty("exitCode").GetInt32());
        Assert.Contains(answer.GetProperty("error").GetString()!, run.Error.ReplaceLineEndings(" "), StringComparison.Ordinal);
    }
}
