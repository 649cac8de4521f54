namespace KvMesh.Protocol.Keys;

/// <summary>A number by which two nodes find out that they compute digests under the same secret, without telling it.</summary>
public static class DigestKeyId
{
    public static ulong Of(in DigestSecret secret) => KeyDigest.Compute(secret, 0, "kvmesh digests 1"u8).Low;
}
