using System.Text.Json;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary><c>kvmesh up</c> as somebody types it who tries it: nothing is said about memory.</summary>
[Trait("Category", "System")]
public sealed class UpDefaultsTests : IDisposable
{
    private readonly NodeFolders _folders = new();

    /// <summary>Memory is promised and not touched: other tests run beside this one.</summary>
    public UpDefaultsTests() => _folders.Environment["KVMESH_Engine__Prefault"] = "false";

    public void Dispose() => _folders.Dispose();

    [Fact]
    public async Task A_quarter_of_the_memory_is_shared_by_the_nodes()
    {
        await using var up = NodeProcess.Run(["up", "--nodes", "2", "--json", "--port", "0", "--data-dir", _folders.Data], _folders.Environment);
        string line;
        try
        {
            line = await up.WaitForLineAsync(text => text.StartsWith('{'), "the line with the addresses", Eventually.Patience);
        }
        catch (TimeoutException)
        {
            // A machine with less shared memory than a quarter of its RAM: then it says so, and ends.
            await up.WaitForExitAsync(Eventually.Patience);
            Assert.Contains("Engine:ArenaBytes", up.Error, StringComparison.Ordinal);
            return;
        }

        var capacities = new List<long>();
        foreach (var node in JsonDocument.Parse(line).RootElement.GetProperty("nodes").EnumerateArray())
        {
            using var admin = PatientAdmin.Of(new Uri(node.GetProperty("http").GetString()!));
            capacities.Add((await admin.GetTiersAsync(CancellationToken.None)).Single(tier => tier.Name == "host").CapacityBytes);
        }

        var quarter = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4;
        Assert.Equal(2, capacities.Count);
        Assert.Equal(capacities[0], capacities[1]);
        Assert.InRange(capacities.Sum(), quarter / 2, quarter);
        await up.SignalAsync("TERM");
        Assert.Equal(0, await up.WaitForExitAsync(Eventually.Patience));
    }
}
