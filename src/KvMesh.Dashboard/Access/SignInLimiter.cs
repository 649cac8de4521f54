using System.Net;

namespace KvMesh.Dashboard.Access;

/// <summary>How often one address may try a token: guessing must not be cheap, a typing error must not cost.</summary>
internal sealed class SignInLimiter(TimeProvider time)
{
    public const int MaxAttempts = 10;
    public static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    /// <summary>Addresses remembered; with more in one period all share what is left of the last one.</summary>
    private const int MaxAddresses = 1024;

    private readonly Lock _lock = new();
    private readonly Dictionary<IPAddress, int> _attempts = [];
    private DateTimeOffset _periodEnds = DateTimeOffset.MinValue;

    /// <summary>Counts one attempt; false when there were too many.</summary>
    public bool TryAttempt(IPAddress? address)
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            if (now >= _periodEnds)
            {
                _attempts.Clear();
                _periodEnds = now + Period;
            }

            var key = address ?? IPAddress.None;
            if (!_attempts.ContainsKey(key) && _attempts.Count >= MaxAddresses)
            {
                key = IPAddress.None;
            }

            var count = _attempts.GetValueOrDefault(key) + 1;
            _attempts[key] = count;
            return count <= MaxAttempts;
        }
    }
}
