using KvMesh.Protocol.Integrity;

namespace KvMesh.Gateway.Resp;

/// <summary>
/// Makes commands that look and then act (GETDEL, GETEX, EXPIRE NX, SET) atomic towards each other on one key. The lock is
/// held over engine calls only, never while bytes come from or go to a client.
/// </summary>
internal sealed class KeyLocks
{
    private const int Stripes = 256;

    private readonly Lock[] _locks = [.. Enumerable.Range(0, Stripes).Select(_ => new Lock())];

    public Lock Of(ReadOnlySpan<byte> key) => _locks[Crc32C.Compute(key) % Stripes];
}
