using KvMesh.Cluster.Sequences;
using KvMesh.Orleans.Tests.Sequences;
using KvMesh.TestKit.Sequences;

namespace KvMesh.Orleans.Tests;

/// <summary>
/// A silo as a process of its own, for tests that kill it. It opens sequences, appends to each, so that their grains are here, and says of each its epoch and
/// what was acknowledged; then it goes on appending until it is killed.
/// </summary>
internal static class SiloProgram
{
    public const string Tenant = "acme";
    public const int Sequences = 20;

    public static string PathOfProgram => typeof(SiloProgram).Assembly.Location;

    /// <param name="arguments">Redis and name of the cluster.</param>
    private static async Task Main(string[] arguments)
    {
        await using var silo = await LoneSilo.StartAsync(arguments[0], arguments[1], "killed");
        await Task.WhenAll(Enumerable.Range(0, Sequences).Select(number => GrowAsync(silo.Host, number)));
    }

    private static async Task GrowAsync(SequenceHost host, int number)
    {
        var id = new SequenceId(Tenant, $"chat-{number}");
        var epoch = (await host.ExecuteAsync(id, SequenceCommands.Open(), default)).Info!.Epoch;
        for (var after = 0; ; after += 4)
        {
            var reply = await host.ExecuteAsync(id, SequenceCommands.Append(epoch, after), default);
            await Console.Out.WriteLineAsync(reply.IsOk ? $"{number} {epoch} {reply.Info!.Blocks}" : $"refused {reply.Refusal} {reply.Text}");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        }
    }
}
