using StackExchange.Redis;

namespace KvMesh.Remote.Redis.Coordination;

/// <summary>
/// When a client gives a connection up that is still being made, and begins another: after two to three seconds, a different time for each client, so that
/// a thousand nodes whose Redis was started again do not all connect in one moment. Less would cut connections short that a busy machine is about to
/// make. A connection that was refused is tried again at the client's next beat, without this.
/// </summary>
internal sealed class ScatteredRetry : IReconnectRetryPolicy
{
    private const int LeastMilliseconds = 2000;
    private const int SpreadMilliseconds = 1000;

    private readonly uint _own;

    /// <param name="clientName">The same for each run of a node, another one for each node.</param>
    public ScatteredRetry(string clientName)
    {
        ArgumentNullException.ThrowIfNull(clientName);
        foreach (var letter in clientName)
        {
            _own = (_own * 31) + letter;
        }
    }

    public bool ShouldRetry(long currentRetryCount, int timeElapsedMillisecondsSinceLastRetry)
    {
        // A step of the golden ratio puts successive attempts of one client, and the first of many, far apart.
        var place = (uint)((_own + (ulong)currentRetryCount) * 2654435769) / (uint.MaxValue + 1.0);
        return timeElapsedMillisecondsSinceLastRetry >= LeastMilliseconds + (place * SpreadMilliseconds);
    }
}
