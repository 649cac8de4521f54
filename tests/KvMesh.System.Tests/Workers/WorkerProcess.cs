using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using KvMesh.TestKit;
using KvMesh.Worker.Tests.Model;

namespace KvMesh.System.Tests.Workers;

/// <summary><c>kvmesh worker</c> as a process, on a free loopback port.</summary>
internal sealed class WorkerProcess : IAsyncDisposable
{
    private WorkerProcess(ChildProcess process, Uri address)
    {
        Process = process;
        Client = new HttpClient { BaseAddress = address, Timeout = Eventually.Patience };
    }

    public ChildProcess Process { get; }

    public HttpClient Client { get; }

    public Uri Address => Client.BaseAddress!;

    /// <summary>Starts a worker and waits until it serves.</summary>
    public static async Task<WorkerProcess> StartAsync(TestModel model, params string[] arguments)
    {
        var process = NodeProcess.Run(["worker", "--json", "--model", model.Path, "--http", "127.0.0.1:0", "--name", "tiny", "--threads", "1", .. arguments]);
        try
        {
            var line = await process.WaitForLineAsync(text => text.StartsWith('{'), "the line with the address", Eventually.Patience);
            return new WorkerProcess(process, new Uri(JsonElement.Parse(line).GetProperty("http").GetString()!));
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts a worker and waits until it has reached its node.</summary>
    public static async Task<WorkerProcess> StartAtAsync(NodeProcess node, TestModel model, params string[] arguments)
    {
        var worker = await StartAsync(model, ["--node", node.Addresses.NativeEndpoint, .. arguments]);
        await Eventually.Holds(worker.HasReachedAsync, "a worker at its node");
        return worker;
    }

    public async Task<bool> HasReachedAsync() =>
        (await Client.GetStringAsync(new Uri("/health", UriKind.Relative))).Contains("\"node\":\"reached\"", StringComparison.Ordinal);

    /// <summary>An answer as a whole; anything but one fails.</summary>
    public async Task<JsonElement> CompleteAsync(JsonObject request)
    {
        using var response = await Client.PostAsJsonAsync(new Uri("/v1/completions", UriKind.Relative), request);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return JsonElement.Parse(text);
    }

    /// <summary>A figure of the page of metrics, without labels of its own; 0 while it is not there.</summary>
    public async Task<long> ReadAsync(string metric)
    {
        var text = await Client.GetStringAsync(new Uri("/metrics", UriKind.Relative));
        var line = text.Split('\n').FirstOrDefault(each => each.StartsWith(metric + " ", StringComparison.Ordinal) || each.StartsWith(metric + "{", StringComparison.Ordinal));
        return line is null ? 0 : long.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
    }

    public async Task<int> StopAsync()
    {
        await Process.SignalAsync("TERM");
        return await Process.WaitForExitAsync(Eventually.Patience);
    }

    public ValueTask DisposeAsync()
    {
        Client.Dispose();
        return Process.DisposeAsync();
    }
}
