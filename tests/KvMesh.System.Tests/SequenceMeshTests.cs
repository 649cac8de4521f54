namespace KvMesh.System.Tests;

/// <summary>Sequences in a Redis that three processes share.</summary>
[Trait("Category", "System")]
public sealed class SequenceMeshTests() : SequenceMeshContract(new MeshOfThree());
