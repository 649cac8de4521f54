using System.Text.Json.Nodes;

namespace KvMesh.System.Tests.Workers;

/// <summary>Tokens are the same when a parked sequence is resumed at another node, by another worker, and the one that parked it is dead.</summary>
[Trait("Category", "System")]
public sealed class ParkedIdentityTests(SeededCompletions requests) : IClassFixture<SeededCompletions>
{
    private const string Parked = "kvmesh_worker_parked_sequences_total";

    [Fact]
    public async Task With_sequences_that_another_worker_parked_at_another_node()
    {
        await using var mesh = await PlacementMesh.StartAsync();
        var (a, b) = (await mesh.JoinAsync("a"), await mesh.JoinAsync("b"));
        var answers = new List<(JsonObject Request, string Text)>();
        await using (var first = await WorkerProcess.StartAtAsync(a, requests.Model))
        {
            for (var number = 0; number < requests.Count; number++)
            {
                var request = Named(requests.Request(number), number);
                answers.Add((request, (await requests.CompareAsync(first, request)).Text));
            }

            Assert.True(await first.ReadAsync(Parked) > 0);
            await first.Process.KillAsync();
        }

        await using var second = await WorkerProcess.StartAtAsync(b, requests.Model, "--fetch-all");
        for (var number = 0; number < requests.Count; number++)
        {
            var (request, text) = answers[number];
            await requests.CompareAsync(second, Named(requests.Following(request, text, further: 7), number));
        }

        Assert.True(await second.ReadAsync("kvmesh_worker_pulled_blocks_total") > 0);
        Assert.True(await second.ReadAsync(Parked) > 0);
    }

    private static JsonObject Named(JsonObject request, int number)
    {
        request["sequence"] = $"identity-{number}";
        return request;
    }
}
