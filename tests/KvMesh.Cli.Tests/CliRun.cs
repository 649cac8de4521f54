using KvMesh.Cli.Output;
using KvMesh.TestKit;

namespace KvMesh.Cli.Tests;

/// <summary>One invocation of the command inside this process, with what it printed.</summary>
internal sealed record CliRun(int ExitCode, string Out, string Error, byte[] Bytes)
{
    public static async Task<CliRun> Of(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        using var bytes = new MemoryStream();
        using var limit = new CancellationTokenSource(Eventually.Patience);
        var terminal = new Terminal(output, error, outIsTerminal: false, errorIsTerminal: false, () => bytes);
        var exitCode = await KvMeshCommand.RunAsync(args, terminal, limit.Token);
        Assert.False(limit.IsCancellationRequested, $"kvmesh {string.Join(' ', args)} took longer than {Eventually.Patience}");
        return new CliRun(exitCode, output.ToString(), error.ToString(), bytes.ToArray());
    }
}
