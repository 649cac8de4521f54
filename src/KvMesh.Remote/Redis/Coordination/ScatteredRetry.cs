using StackExchange.Redis;

namespace KvMesh.Remote.Redis.Coordination;

/// <summary>
/// Lets a client that lost its server try again after a quarter to three quarters of a second, a different time for each client: a thousand nodes whose
/// Redis was started again do not all connect in one moment.
/// </summary>
internal sealed class ScatteredRetry : IReconnectRetryPolicy
{
    private const int LeastMilliseconds = 250;
    private const int SpreadMilliseconds = 500;

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
