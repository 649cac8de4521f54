using Microsoft.Extensions.Hosting;

namespace KvMesh.Server.Hosting;

/// <summary>Leaves signals of the process to the program around the node.</summary>
internal sealed class EmbeddedLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
