using Microsoft.Extensions.Hosting;

namespace KvMesh.Orleans.Hosting;

/// <summary>Leaves signals of the process to the program around the silo.</summary>
internal sealed class SiloLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
