using KvMesh.Protocol.Keys;

namespace KvMesh.Gateway.Resp.Keys;

/// <summary>Where the parts of a content key lie.</summary>
/// <param name="Model">Name of the model; empty when the key does not say.</param>
/// <param name="Hash">What differs between the keys of one chain; empty when the key has no such part.</param>
/// <param name="BaseBytes">Length without the suffix of a half.</param>
internal readonly record struct ContentKey(Range Model, Range Hash, int BaseBytes, LmcacheHalf Half);
